"""Manifests made for a cluster are changed just enough for processes on one machine."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.controlplane import crds, lws, nodes
from hack.controlplane.webhooks import point_to_localhost

CLIENT = {"service": {"name": "webhook-service", "namespace": "system", "path": "/mutate"}}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "webhook-service", "namespace": "system", "labels": {"a": "b"}},
    "spec": {"ports": [{"port": 443}], "selector": {"a": "b"}},
}
HOOKS = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingWebhookConfiguration",
    "metadata": {"name": "hooks"},
    "webhooks": [{"name": "first", "clientConfig": CLIENT}, {"name": "second", "clientConfig": CLIENT}],
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.com"},
    "spec": {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": CLIENT}}},
}


def _hooks() -> list[dict[str, Any]]:
    return copy.deepcopy([SERVICE, HOOKS, CRD])


def test_webhooks_are_called_on_a_local_port_under_their_own_name() -> None:
    service, hooks, crd = point_to_localhost(_hooks(), port=7, ca_pem=b"pem")
    assert service["spec"] == {"type": "ExternalName", "externalName": "localhost"}
    called = [hooks["webhooks"][0], hooks["webhooks"][1], crd["spec"]["conversion"]["webhook"]]
    for client in (hook["clientConfig"] for hook in called):
        assert client["service"] == {**CLIENT["service"], "port": 7}
        assert base64.b64decode(client["caBundle"]) == b"pem"


def test_services_that_no_webhook_names_stay_as_they_are_and_the_input_is_not_changed() -> None:
    other = copy.deepcopy(SERVICE)
    other["metadata"] = {"name": "other"}
    given = [*_hooks(), other]
    before = copy.deepcopy(given)
    assert point_to_localhost(given, port=7, ca_pem=b"pem")[-1] == other
    assert given == before


def _release(folder: Path) -> Path:
    """A release's manifests in the layout of the LWS repository."""
    objects = [HOOKS, {**HOOKS, "kind": "ValidatingWebhookConfiguration"}]
    (folder / "manifests.yaml").write_text(yaml.safe_dump_all(objects))
    (folder / "service.yaml").write_text(yaml.safe_dump(SERVICE))
    narrowed = {"name": "narrowed", "clientConfig": CLIENT, "objectSelector": {"matchLabels": {"x": "y"}}}
    patch = [{"op": "replace", "path": "/webhooks/1", "value": narrowed}]
    for name in ("mutating-patch.yaml", "validating-patch.yaml"):
        (folder / name).write_text(yaml.safe_dump(patch))
    return folder


def test_a_release_is_rendered_as_its_kustomization_would(tmp_path: Path) -> None:
    namespace, service, *configurations = lws.render(_release(tmp_path), port=7, ca_pem=b"pem")
    assert namespace["metadata"]["name"] == "lws-system"
    assert service["metadata"] == {"name": "lws-webhook-service", "namespace": "lws-system"}
    assert [c["metadata"]["name"] for c in configurations] == ["lws-hooks", "lws-hooks"]
    for configuration in configurations:
        first, second = configuration["webhooks"]
        assert (first["name"], second["name"]) == ("first", "narrowed")
        assert "objectSelector" in second
        for hook in (first, second):
            expected = {"name": "lws-webhook-service", "namespace": "lws-system", "path": "/mutate", "port": 7}
            assert hook["clientConfig"]["service"] == expected


@pytest.mark.parametrize(
    "step",
    [
        {"op": "add", "path": "/webhooks/1", "value": {}},
        {"op": "replace", "path": "/webhooks/9", "value": {}},
        {"op": "replace", "path": "/nowhere/1", "value": {}},
    ],
)
def test_a_patch_that_does_not_fit_is_refused(step: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unexpected operation|does not exist"):
        lws.patched(HOOKS, [step])


def test_the_lws_controller_listens_on_loopback_only() -> None:
    made = lws.configuration(Path("certs"), webhook_port=1, health_port=2)
    assert made["webhook"]["host"] == "127.0.0.1"
    assert made["health"]["healthProbeBindAddress"] == "127.0.0.1:2"
    assert made["metrics"]["bindAddress"] == "0"


def test_crds_are_found_below_folders_and_other_documents_left_out(tmp_path: Path) -> None:
    (tmp_path / "bases").mkdir()
    (tmp_path / "bases" / "things.yaml").write_text(yaml.safe_dump_all([CRD, SERVICE]))
    (tmp_path / "kustomization.yaml").write_text("resources: [bases/things.yaml]\n")
    (tmp_path / "patch.yaml").write_text("- {op: replace}\n---\n")
    assert crds.load([tmp_path]) == [CRD]
    with pytest.raises(FileNotFoundError):
        crds.load([tmp_path / "none"])


def test_a_crd_without_its_webhook_converts_by_name_only() -> None:
    before = copy.deepcopy(CRD)
    assert crds.without_conversion_webhook(CRD)["spec"]["conversion"] == {"strategy": "None"}
    assert before == CRD


def test_the_foreign_kinds_are_crds() -> None:
    assert [crd["metadata"]["name"] for crd in crds.load([crds.FOREIGN])] == ["podgroups.scheduling.volcano.sh"]


def test_nodes_are_dealt_out_over_domains_and_zones() -> None:
    made = nodes.domain_nodes(10, per_domain=4, zones=2)
    labels = [node["metadata"]["labels"] for node in made]
    assert [label[nodes.CLIQUE] for label in labels] == ["fabric.0"] * 4 + ["fabric.1"] * 4 + ["fabric.2"] * 2
    assert [label[nodes.ZONE] for label in labels] == ["zone-a"] * 4 + ["zone-b"] * 4 + ["zone-a"] * 2
    assert len({label[nodes.HOSTNAME] for label in labels}) == 10


def test_a_node_has_the_devices_labels_and_taints_asked_for() -> None:
    taint = {"key": "k", "effect": "NoSchedule"}
    made = nodes.node("n", gpus=4, labels={nodes.ZONE: "z"}, allocatable={"cpu": "2"}, taints=[taint])
    assert made["status"]["allocatable"] == made["status"]["capacity"]
    assert made["status"]["allocatable"] | {nodes.GPU: "4", "cpu": "2"} == made["status"]["allocatable"]
    assert made["metadata"]["labels"][nodes.ZONE] == "z"
    assert made["spec"]["taints"] == [taint]
    assert nodes.GPU not in nodes.node("n", gpus=0)["status"]["allocatable"]
