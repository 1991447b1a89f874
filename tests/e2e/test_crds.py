"""A real API server takes and refuses what the models do, and fills in the same defaults."""

from __future__ import annotations

from typing import Any

import pytest

from golden import SCENARIOS, scenario
from golden.groups import VECTORS, Vector
from hack.controlplane import Api
from hack.controlplane.errors import HttpError
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupSpec

_COLLECTION = RoleBasedGroup.KIND.path
_ABSENT = object()


def _group(namespace: str, spec: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "apiVersion": RoleBasedGroup.KIND.api_version,
        "kind": RoleBasedGroup.KIND.kind,
        "metadata": {"name": "g", "namespace": namespace},
    }
    return body if spec is None else {**body, "spec": spec}


async def _create(api: Api, body: dict[str, Any], *, strict: bool = False) -> dict[str, Any]:
    params = {"dryRun": "All", "fieldValidation": "Strict" if strict else "Ignore"}
    path = _COLLECTION(body["metadata"]["namespace"])
    found: dict[str, Any] = await api.request("POST", path, body=body, params=params)
    return found


def _at(role: dict[str, Any], path: str) -> Any:
    found: Any = role
    for part in path.split("."):
        found = found.get(part, _ABSENT)
    return found


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.refused], ids=lambda v: v.name)
async def test_the_server_refuses_what_the_models_refuse(api: Api, vector: Vector) -> None:
    with pytest.raises(HttpError, match=vector.refused) as raised:
        await _create(api, _group("default", vector.spec))
    assert raised.value.status in (400, 422)


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v.refused], ids=lambda v: v.name)
async def test_the_server_stores_what_the_models_read(api: Api, vector: Vector) -> None:
    stored = await _create(api, _group("default", vector.spec))
    if vector.spec is None:
        assert "spec" not in stored
        return
    for path, value in (vector.stored or {}).items():
        assert _at(stored["spec"]["roles"][0], path) == value
    assert RoleBasedGroupSpec.model_validate(stored["spec"]).wire() == stored["spec"]
    assert RoleBasedGroupSpec.model_validate(vector.spec).wire() == stored["spec"]


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v.refused and v.spec], ids=lambda v: v.name)
async def test_unknown_fields_are_refused_only_on_request_and_never_those_of_a_role(api: Api, vector: Vector) -> None:
    if not vector.strict:
        await _create(api, _group("default", vector.spec), strict=True)
        return
    with pytest.raises(HttpError, match=vector.strict):
        await _create(api, _group("default", vector.spec), strict=True)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_recorded_manifests_are_stored_as_they_were_recorded(api: Api, name: str) -> None:
    recorded = scenario(name)
    for manifest in recorded.input:
        if manifest["kind"] != "RoleBasedGroup" or manifest["apiVersion"] != RoleBasedGroup.KIND.api_version:
            continue
        body = _group("default", manifest["spec"])
        assert (await _create(api, body))["spec"] == recorded.one("RoleBasedGroup", manifest["metadata"]["name"])[
            "spec"
        ]


@pytest.mark.parametrize("name", SCENARIOS)
async def test_recorded_sets_and_instances_are_stored_without_losing_a_field(
    api: Api, namespace: str, name: str
) -> None:
    recorded = scenario(name)
    for item in (*recorded.of("RoleInstanceSet"), *recorded.of("RoleInstance")):
        kept = {"name": item["metadata"]["name"], "namespace": namespace}
        created = await api.create({**item, "metadata": kept})
        assert created["spec"] == item["spec"]
        patched = await api.merge(
            item["apiVersion"],
            item["kind"],
            kept["name"],
            {"status": item["status"]},
            namespace=namespace,
            subresource="status",
        )
        assert patched["status"] == item["status"]
