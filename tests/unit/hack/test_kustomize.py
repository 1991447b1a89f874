"""The renderer for tests renders what we use, and refuses what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.kustomize import render

CONFIG = Path(__file__).parents[3] / "config"
DEPLOYMENT = {
    "kind": "Deployment",
    "metadata": {"name": "d"},
    "spec": {"template": {"spec": {"containers": [{"image": "i:0", "args": ["a"]}]}}},
}


def folder(at: Path, **told: Any) -> Path:
    at.mkdir(exist_ok=True)
    (at / "d.yaml").write_text(yaml.safe_dump_all([{"kind": "Namespace", "metadata": {"name": "n"}}, DEPLOYMENT]))
    (at / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["d.yaml"], **told}))
    return at


def test_images_and_patches_change_what_they_name(tmp_path: Path) -> None:
    step = {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "b"}
    patches = [
        {"target": {"kind": "Deployment", "name": "d"}, "patch": yaml.safe_dump([step])},
        {"patch": yaml.safe_dump({"$patch": "delete", "kind": "Namespace", "metadata": {"name": "n"}})},
    ]
    (found,) = render(folder(tmp_path, images=[{"name": "i", "newTag": "1"}], patches=patches))
    assert found["spec"]["template"]["spec"]["containers"] == [{"image": "i:1", "args": ["a", "b"]}]


@pytest.mark.parametrize(
    "told",
    [
        {"namePrefix": "x-"},
        {"patches": [{"target": {"kind": "Deployment", "name": "other"}, "patch": "[]"}]},
        {"patches": [{"target": {"kind": "Deployment", "name": "d"}, "patch": '[{"op": "remove", "path": "/a"}]'}]},
        {"patches": [{"patch": yaml.safe_dump(DEPLOYMENT)}]},
        {"patches": [{"patch": '{"$patch": "delete", "kind": "Pod", "metadata": {"name": "d"}}'}]},
    ],
)
def test_what_it_does_not_know_and_a_patch_that_fits_nothing_are_errors(tmp_path: Path, told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not known here|fits nothing"):
        render(folder(tmp_path, **told))


def _by_name(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["kind"], item["metadata"]["name"]): item for item in render(CONFIG / name)}


def test_without_deprecated_workload_types_neither_the_flag_nor_a_right_is_left() -> None:
    default, without = _by_name("default"), _by_name("no-deprecated")
    gone = {
        ("ClusterRole", "rbgs-deprecated-workloads-role"),
        ("ClusterRoleBinding", "rbgs-deprecated-workloads-rolebinding"),
    }
    assert default.keys() - without.keys() == gone
    rights = [resource for item in without.values() for rule in item.get("rules", ()) for resource in rule["resources"]]
    assert not [name for name in rights if name.startswith(("deployments", "statefulsets", "leaderworkersets"))]
    (container,) = without["Deployment", "rbgs-controller-manager"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][-1] == "--enable-deprecated-workload-types=false"
    (container,) = default["Deployment", "rbgs-controller-manager"]["spec"]["template"]["spec"]["containers"]
    assert "--enable-deprecated-workload-types=false" not in container["args"]


def test_everything_has_the_name_under_which_upstream_installs_it() -> None:
    system = "rbgs-system"
    found = {(kind, item["metadata"].get("namespace", ""), name) for (kind, name), item in _by_name("default").items()}
    assert {
        ("Namespace", "", system),
        ("ServiceAccount", system, "rbgs-controller-sa"),
        ("ClusterRole", "", "rbgs-controller-role"),
        ("Deployment", system, "rbgs-controller-manager"),
        ("Secret", system, "rbgs-webhook-cert"),
        ("Service", system, "rbgs-webhook-service"),
        ("ValidatingWebhookConfiguration", "", "rbgs-validating-webhook-configuration"),
    } <= found
    secret = _by_name("default")["Secret", "rbgs-webhook-cert"]
    assert not secret.keys() & {"data", "stringData", "type"}, "applied over one that is in use it takes nothing away"
