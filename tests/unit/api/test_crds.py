from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from hack import crds as generator
from hack.schema import structural
from rbgctrl import crds
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Value

_KINDS = (RoleBasedGroup, RoleInstanceSet, RoleInstance)


_DOCUMENTS = crds.documents()


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
    assert list(yaml.safe_load_all(crds.text())) == list(_DOCUMENTS)
    for kind in _KINDS:
        spec = documents[kind.KIND.resource]["spec"]
        assert (spec["group"], spec["names"]["kind"], spec["names"]["plural"]) == (
            kind.KIND.group,
            kind.KIND.kind,
            kind.KIND.plural,
        )
        assert [version["name"] for version in spec["versions"]] == [kind.KIND.version]


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
            if "x-kubernetes-preserve-unknown-fields" in node or name in ("template", "selector"):
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


def test_only_sets_have_a_scale_subresource() -> None:
    scaled = [item["metadata"]["name"] for item in _DOCUMENTS if "scale" in item["spec"]["versions"][0]["subresources"]]
    assert scaled == [RoleInstanceSet.KIND.resource]


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
