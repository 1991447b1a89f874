from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from hack import crds as generator
from hack.kinds import CRDS
from hack.schema import structural
from rbgctrl import crds
from rbgctrl.api import v1alpha1
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Value
from rbgctrl.api.placement import ClusterTopology, PlacementPolicy
from rbgctrl.api.policies import CoordinatedPolicy
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.api.warmups import RoleBasedGroupWarmup

_WORKLOADS = (
    RoleBasedGroup,
    RoleBasedGroupSet,
    RoleBasedGroupScalingAdapter,
    ClusterEngineRuntimeProfile,
    CoordinatedPolicy,
    RoleBasedGroupWarmup,
    RoleInstanceSet,
    RoleInstance,
)
_KINDS = (*_WORKLOADS, ClusterTopology, PlacementPolicy)
_OLD = (
    v1alpha1.RoleBasedGroup,
    v1alpha1.RoleBasedGroupSet,
    v1alpha1.RoleBasedGroupScalingAdapter,
    v1alpha1.ClusterEngineRuntimeProfile,
)
_DEAD = {"instancesets.workloads.x-k8s.io": "RoleInstanceSet", "instances.workloads.x-k8s.io": "RoleInstance"}
_CHECKOUT = Path(__file__).parents[3]

_DOCUMENTS = crds.documents()
_BY_KIND = {item["spec"]["names"]["kind"]: item for item in _DOCUMENTS}


_FOREIGN = ("template", "selector", "containers", "initContainers", "volumes", "tolerations")
"""Fields whose parts are explained elsewhere."""


def _schemas(node: Any) -> list[dict[str, Any]]:
    """Every schema below and including ``node``."""
    found = [node]
    for field in node.get("properties", {}).values():
        found += _schemas(field)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            found += _schemas(node[key])
    return found


def _schema(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def test_the_files_in_the_checkout_are_those_the_models_make(capsys: pytest.CaptureFixture[str]) -> None:
    assert generator.main(["--check"]) == 0, capsys.readouterr().err


def test_a_file_that_differs_is_reported_and_then_written(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generator, "_CHECKOUT", tmp_path)
    assert generator.main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().err
    assert generator.main([]) == 0
    (tmp_path / "config/crd/stray.yaml").write_text("")
    assert generator.main(["--check"]) == 1
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0


def test_the_package_ships_one_crd_per_kind_with_its_names() -> None:
    documents = {item["metadata"]["name"]: item for item in _DOCUMENTS}
    assert set(documents) == {kind.KIND.resource for kind in _KINDS}
    for kind in (*_KINDS, *_OLD):
        spec = documents[kind.KIND.resource]["spec"]
        assert (spec["group"], spec["names"]["kind"], spec["names"]["plural"]) == (
            kind.KIND.group,
            kind.KIND.kind,
            kind.KIND.plural,
        )
        assert spec["scope"] == ("Namespaced" if kind.KIND.namespaced else "Cluster")
        assert kind.KIND.version in [version["name"] for version in spec["versions"]]


def test_the_stream_and_the_files_for_kustomize_are_what_the_package_ships() -> None:
    assert _loaded(crds.text()) == list(_DOCUMENTS)
    for document in _DOCUMENTS:
        spec = document["spec"]
        file = _CHECKOUT / "config/crd" / f"{spec['group']}_{spec['names']['plural']}.yaml"
        assert _loaded(file.read_text()) == [document]


def _loaded(text: str) -> list[Any]:
    return list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def test_shared_definitions_are_those_that_may_be_changed() -> None:
    assert crds.shared() == crds.documents()
    assert crds.shared()[0] is crds.shared()[0]
    assert crds.documents()[0] is not crds.documents()[0]


YAML = [
    "",
    "a b",
    "true",
    "No",
    "~",
    "1",
    "1e3",
    "- a",
    "a: b",
    "a #b",
    "#a",
    "'",
    '"',
    "é",
    "a\nb",
    " a",
    "a ",
    "*a",
    "0x1",
]


@pytest.mark.parametrize("text", YAML)
def test_any_text_survives_the_stream(text: str) -> None:
    value = {"a": [text, {"b": text}, [text], {}, []], text or "x": {"c": [[{"d": text}, 1.5, None, True]]}}
    assert yaml.safe_load(crds.render(value)) == value


def test_both_versions_are_served_and_the_newer_one_is_stored() -> None:
    for kind in _OLD:
        newer, older = _BY_KIND[kind.KIND.kind]["spec"]["versions"]
        assert (newer["name"], newer["served"], newer["storage"]) == ("v1alpha2", True, True)
        assert (older["name"], older["served"], older["storage"]) == ("v1alpha1", True, False)
        name = kind.KIND.kind
        assert older["deprecated"] is True
        assert older["deprecationWarning"] == (
            f"workloads.x-k8s.io/v1alpha1 {name} is deprecated; use workloads.x-k8s.io/v1alpha2 {name}"
        )
        assert "deprecated" not in newer


def test_kinds_that_nobody_reconciles_are_files_that_neither_kustomize_nor_the_package_installs() -> None:
    listed = yaml.safe_load((_CHECKOUT / "config/crd/kustomization.yaml").read_text())["resources"]
    for name, successor in _DEAD.items():
        plural, _, group = name.partition(".")
        (document,) = _loaded((_CHECKOUT / f"config/crd/{group}_{plural}.yaml").read_text())
        (version,) = document["spec"]["versions"]
        assert (version["name"], version["storage"]) == ("v1alpha1", True)
        assert version["deprecationWarning"].endswith(f"use workloads.x-k8s.io/v1alpha2 {successor}")
        assert f"{group}_{plural}.yaml" not in listed
        assert name not in {item["metadata"]["name"] for item in _DOCUMENTS}


def test_only_kustomize_adds_the_conversion_webhook_and_only_where_versions_differ() -> None:
    kustomization = yaml.safe_load((_CHECKOUT / "config/crd/kustomization.yaml").read_text())
    assert [patch["target"]["name"] for patch in kustomization["patches"]] == [
        "rolebasedgroups.workloads.x-k8s.io",
        "rolebasedgroupsets.workloads.x-k8s.io",
    ]
    (path,) = {patch["path"] for patch in kustomization["patches"]}
    (operation,) = yaml.safe_load((_CHECKOUT / "config/crd" / path).read_text())
    assert (operation["op"], operation["path"]) == ("add", "/spec/conversion")
    webhook = operation["value"]["webhook"]
    assert operation["value"]["strategy"] == "Webhook"
    assert webhook["conversionReviewVersions"] == ["v1"]
    service = webhook["clientConfig"]["service"]
    assert (service["name"], service["path"]) == ("rbgs-webhook-service", "/convert")
    assert not [item for item in _DOCUMENTS if "conversion" in item["spec"]]


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda item: item["metadata"]["name"])
def test_schemas_are_structural(document: dict[str, Any]) -> None:
    for node in _schemas(_schema(document)):
        assert not {"$ref", "anyOf", "title", "$defs", "x-required"} & set(node)
        assert "type" in node or node.keys() & {
            "x-kubernetes-int-or-string",
            "x-kubernetes-preserve-unknown-fields",
        }
        assert set(node.get("required", ())) <= set(node.get("properties", {}))
        assert node.get("default", 0) not in (None, [], {})


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda item: item["metadata"]["name"])
def test_every_field_of_a_spec_is_explained(document: dict[str, Any]) -> None:
    def check(node: dict[str, Any], path: str) -> None:
        for name, field in node.get("properties", {}).items():
            if "x-kubernetes-preserve-unknown-fields" in node or name in _FOREIGN:
                continue
            assert field.get("description"), f"{path}.{name}"
            check(field.get("items", field), f"{path}.{name}")

    check(_schema(document)["properties"]["spec"], "spec")


def test_roles_keep_unknown_keys_and_are_a_map_by_name() -> None:
    document = next(item for item in _DOCUMENTS if item["spec"]["names"]["kind"] == "RoleBasedGroup")
    roles = _schema(document)["properties"]["spec"]["properties"]["roles"]
    assert roles["x-kubernetes-list-map-keys"] == ["name"]
    assert roles["minItems"] == 1
    assert roles["items"]["x-kubernetes-preserve-unknown-fields"] is True
    assert roles["items"]["required"] == ["name", "replicas"]
    messages = [rule["message"] for rule in roles["items"]["x-kubernetes-validations"]]
    assert len(messages) == 2
    assert "mutually exclusive" in messages[0]
    assert "sharedServiceSelection=LeaderOnly" in messages[1]


SCALED = {
    "RoleBasedGroupSet": "",
    "RoleBasedGroupScalingAdapter": ".status.selector",
    "RoleInstanceSet": ".status.labelSelector",
}
COLUMNS = {
    ("RoleBasedGroup", "v1alpha2"): "READY AGE REASON MESSAGE",
    ("RoleBasedGroup", "v1alpha1"): "READY AGE REASON MESSAGE",
    ("RoleBasedGroupSet", "v1alpha2"): "DESIRED READY AGE",
    ("RoleBasedGroupSet", "v1alpha1"): "DESIRED READY AGE",
    ("RoleBasedGroupScalingAdapter", "v1alpha2"): "PHASE REPLICAS READY_REPLICAS AGE GROUP ROLE",
    ("RoleBasedGroupScalingAdapter", "v1alpha1"): "PHASE REPLICAS AGE",
    ("CoordinatedPolicy", "v1alpha2"): "AGE",
    ("RoleInstanceSet", "v1alpha2"): "DESIRED UPDATED UPDATED_READY READY TOTAL AGE SELECTOR",
    ("RoleInstance", "v1alpha2"): "READY AGE REASON MESSAGE",
    ("RoleBasedGroupWarmup", "v1alpha2"): "PHASE DESIRED SUCCEEDED FAILED AGE",
}
WIDE = {"REASON", "MESSAGE", "GROUP", "ROLE", "SELECTOR"}
SHORT = {
    "RoleBasedGroup": ["rbg"],
    "RoleBasedGroupSet": ["rbgs"],
    "RoleBasedGroupScalingAdapter": ["rbgsa"],
    "CoordinatedPolicy": ["cpolicy"],
    "RoleBasedGroupWarmup": ["rbgwarmup"],
    "RoleInstanceSet": ["ris"],
    "RoleInstance": ["rins"],
}


@pytest.mark.parametrize("kind", _WORKLOADS, ids=lambda kind: kind.KIND.kind)
def test_names_columns_and_subresources_are_those_people_know(kind: Any) -> None:
    spec = _BY_KIND[kind.KIND.kind]["spec"]
    assert spec["names"].get("shortNames", []) == SHORT.get(kind.KIND.kind, [])
    assert "categories" not in spec["names"]
    for version in spec["versions"]:
        names = [column["name"] for column in version.get("additionalPrinterColumns", ())]
        assert names == COLUMNS.get((kind.KIND.kind, version["name"]), "").split()
        further = {column["name"] for column in version.get("additionalPrinterColumns", ()) if column.get("priority")}
        assert further == WIDE & set(names)
        assert version["subresources"]["status"] == {}
        wanted = None
        if kind.KIND.kind in SCALED:
            selector = SCALED[kind.KIND.kind]
            wanted = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
            wanted |= {"labelSelectorPath": selector} if selector else {}
        assert version["subresources"].get("scale") == wanted


def test_only_a_warmup_and_our_own_kinds_need_a_spec() -> None:
    needing = {kind for kind, item in _BY_KIND.items() if "spec" in _schema(item).get("required", ())}
    assert needing == {"RoleBasedGroupWarmup", "ClusterTopology", "PlacementPolicy"}


def test_reading_our_definitions_does_not_load_a_yaml_library() -> None:
    program = "import sys; sys.modules['yaml'] = None\nfrom rbgctrl import crds\nprint(len(crds.documents()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - this interpreter
    assert int(done.stdout) == len(_DOCUMENTS)


def test_a_definition_fits_into_a_request_of_the_store() -> None:
    for crd in CRDS:
        document = _BY_KIND.get(crd.versions[0].kind.KIND.kind, {})
        assert len(json.dumps(document)) < 2**20


class _Mixed(Value, frozen=True):
    """A type that structural schemas cannot express."""

    field: int | bool | None = None


def test_a_type_that_has_no_structural_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="no alternatives"):
        structural(_Mixed, {})


def test_raw_json_is_opaque() -> None:
    class Holder(Value, frozen=True):
        """Holds anything."""

        content: msgspec.Raw

    assert structural(Holder, {})["properties"]["content"] == {"x-kubernetes-preserve-unknown-fields": True}
