"""Objects of every kind: what is refused, and what is stored of what is not. Nothing is kept: all are dry runs."""

from __future__ import annotations

from typing import Any

import pytest

from contract.support import Api, Obj, case
from golden.kinds import VECTORS, KindVector
from rbgctrl.api import v1alpha1
from rbgctrl.api.core import CustomResourceDefinition
from rbgctrl.api.spec import Spec
from rbgctrl.cli.crds import served
from rbgctrl.client import BadRequestError, InvalidError
from rbgctrl.crds import documents
from unit.api.vectors import at, spec_model

ACCEPTED = [vector for vector in VECTORS if not vector.refused]
CONVERTED = (v1alpha1.RoleBasedGroup, v1alpha1.RoleBasedGroupSet)
"""What becomes of these is up to the conversion between their versions."""


async def _created(api: Api, vector: KindVector, validation: str = "Ignore", group: str = "") -> Obj:
    kind = vector.kind.KIND
    at_home = f"/apis/{kind.group}/"
    api_version = f"{group or kind.group}/{kind.version}"
    body: Obj = {"apiVersion": api_version, "kind": kind.kind, "metadata": {"name": "a"}}
    body |= {} if vector.spec is None else {"spec": vector.spec}
    query = {"dryRun": "All", "fieldValidation": validation}
    path = kind.path(api.namespace).replace(at_home, f"/apis/{group or kind.group}/")
    made: Obj = await api.send("POST", path, query=query, body=body)
    return made


def _check(vector: KindVector, made: Obj) -> None:
    assert ("spec" in made) == (vector.spec is not None)
    for path, value in (vector.stored or {}).items():
        assert at(made["spec"], path) == value
    model = spec_model(vector.kind)
    if issubclass(model, Spec) and vector.spec is not None and not vector.server_only:
        assert made["spec"] == model.model_validate(vector.spec).wire()


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if vector.refused], ids=lambda vector: vector.id)
@case
async def test_an_object_that_makes_no_sense_is_refused(api: Api, vector: KindVector) -> None:
    with pytest.raises(InvalidError) as raised:
        await _created(api, vector)
    assert vector.refused in raised.value.message
    kind = vector.kind.KIND
    assert raised.value.message.startswith(f'{kind.kind}.{kind.group} "a" is invalid: ')


@pytest.mark.parametrize(
    "vector", [vector for vector in ACCEPTED if vector.kind not in CONVERTED], ids=lambda vector: vector.id
)
@case
async def test_an_object_is_stored_with_its_defaults(api: Api, vector: KindVector) -> None:
    _check(vector, await _created(api, vector))


@pytest.mark.parametrize("vector", ACCEPTED, ids=lambda vector: vector.id)
@case
async def test_unknown_fields_are_refused_on_request(api: Api, vector: KindVector) -> None:
    if not vector.strict:
        await _created(api, vector, "Strict")
        return
    with pytest.raises(BadRequestError, match="strict decoding error: unknown field") as raised:
        await _created(api, vector, "Strict")
    assert vector.strict in raised.value.message


@pytest.mark.parametrize("kind", CONVERTED, ids=lambda kind: kind.KIND.kind)
@case
async def test_an_object_of_the_older_version_gets_the_defaults_of_that_version(api: Api, kind: Any) -> None:
    """Seen where it is the only version, so that no conversion comes between."""
    group = f"{api.namespace}.example.com"
    (body,) = (item for item in documents() if item["spec"]["names"]["kind"] == kind.KIND.kind)
    (old,) = (item for item in body["spec"]["versions"] if item["name"] == kind.KIND.version)
    body["metadata"]["name"] = f"{kind.KIND.plural}.{group}"
    body["spec"] |= {"group": group, "versions": [{**old, "storage": True}]}
    await api.apply(CustomResourceDefinition, body["metadata"]["name"], body)
    await served(api.client, [body], within=50)
    for vector in ACCEPTED:
        if vector.kind is kind:
            _check(vector, await _created(api, vector, group=group))
    await api.delete(CustomResourceDefinition, body["metadata"]["name"])
