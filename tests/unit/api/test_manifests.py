"""What the checkout tells people to apply is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rbgctrl.api.admission import AdmissionOptions
from rbgctrl.cli.validate.checks import check
from rbgctrl.cli.validate.report import Source

_ROOT = Path(__file__).parents[3]


def _documents(folder: str) -> list[dict[str, Any]]:
    files = sorted((_ROOT / "config" / folder).glob("*.yaml"))
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


@pytest.mark.parametrize("file", sorted((_ROOT / "examples").glob("*.yaml")), ids=lambda file: file.name)
def test_an_example_is_of_our_kinds_without_an_error_or_a_warning(file: Path) -> None:
    report = check([Source(file.name, file.read_text())], AdmissionOptions(deprecated_workload_types=False))
    assert report.issues == []
    assert report.checked
    assert not report.skipped


def test_every_kustomization_lists_all_files_beside_it() -> None:
    for folder in ("rbac", "manager"):
        listed = yaml.safe_load((_ROOT / "config" / folder / "kustomization.yaml").read_text())["resources"]
        present = {file.name for file in (_ROOT / "config" / folder).glob("*.yaml")} - {"kustomization.yaml"}
        assert set(listed) == present


def test_the_manager_runs_as_the_account_its_roles_are_bound_to() -> None:
    deployment = next(item for item in _documents("manager") if item["kind"] == "Deployment")
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    namespace = deployment["metadata"]["namespace"]
    bindings = [item for item in _documents("rbac") if item["kind"].endswith("Binding")]
    assert len(bindings) == 4
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": namespace}]


def test_the_manager_is_confined_and_reachable_where_its_probes_and_webhooks_are() -> None:
    deployment = next(item for item in _documents("manager") if item["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert f"--health-probe-bind-address=:{ports['probes']}" in container["args"]
    assert {container[kind]["httpGet"]["port"] for kind in ("livenessProbe", "readinessProbe")} == {"probes"}
    service = next(item for item in _documents("webhook") if item["kind"] == "Service")
    assert [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [(443, ports["webhook"])]
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    budget = next(item for item in _documents("manager") if item["kind"] == "PodDisruptionBudget")
    (spread,) = pod["topologySpreadConstraints"]
    for selector in (service["spec"]["selector"], budget["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= labels
    assert spread["labelSelector"]["matchLabels"].items() <= labels


def test_no_rule_grants_everything() -> None:
    for item in _documents("rbac"):
        for rule in item.get("rules", ()):
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
