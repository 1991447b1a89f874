"""What ``config`` installs, on a real API server: accepted, over an upstream installation, and enough to work with."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from e2e.support import eventually, fail
from e2e.support.daemon import daemon
from e2e.support.groups import V1ALPHA2, become_ready, group, pods, role
from e2e.support.plugin import note_rights
from hack.controlplane import Api, Cluster, ClusterOptions, crds
from hack.controlplane.errors import HttpError
from hack.controlplane.ports import free_ports
from hack.controlplane.webhooks import point_to_localhost
from hack.kustomize import render

CONFIG = Path(__file__).parents[2] / "config"
SYSTEM = "rbgs-system"
ACCOUNT = "rbgs-controller-sa"
USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
MANAGER = "rbgs-controller-manager"
WEBHOOKS = ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
SERVICE = "rbgs-webhook-service"
HOOKS = "rbgs-validating-webhook-configuration"
CRD = "CustomResourceDefinition"


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A control plane without any of our kinds, for installing into."""
    async with Cluster(ClusterOptions(nodes=3, audit=True, gang=False), state=tmp_path / "cluster") as private:
        yield private


@pytest.fixture
async def admin(own: Cluster) -> AsyncIterator[Api]:
    async with own.api(agent="kubectl/v1.36.3") as api:
        yield api


async def _install_crds(api: Api) -> None:
    await crds.install(api, [item for item in render(CONFIG / "default") if item["kind"] == CRD], within=120)


async def _install(api: Api) -> list[dict[str, Any]]:
    """``kubectl apply --server-side --force-conflicts -k config/default``, without the CRDs."""
    return [await api.apply(item, manager="kubectl") for item in render(CONFIG / "default") if item["kind"] != CRD]


async def _available(api: Api) -> bool:
    found = await api.get("apps/v1", "Deployment", MANAGER, SYSTEM)
    told = {item["type"]: item["status"] for item in found.get("status", {}).get("conditions", ())}
    seen = found.get("status", {}).get("observedGeneration", 0) == found["metadata"]["generation"]
    return seen and told.get("Available") == "True" and found["status"].get("updatedReplicas") == 2


def _name(item: dict[str, Any]) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


async def _is_allowed(api: Api, verb: str, resource: str, namespace: str) -> bool:
    asked = {"verb": verb, "group": "", "resource": resource, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": USER, "resourceAttributes": asked},
    }
    answer = await api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body=review)
    return bool(answer["status"]["allowed"])


async def test_it_is_accepted_whole_its_pods_pass_the_restricted_profile_and_its_account_may_do_all_its_work(
    own: Cluster, admin: Api, tmp_path: Path
) -> None:
    await _install_crds(admin)
    first = await _install(admin)
    await eventually(lambda: _available(admin), 60, what="two replicas run in a namespace that enforces it")
    again = await _install(admin)
    for old, new in zip(first, again, strict=True):
        assert old["metadata"]["uid"] == new["metadata"]["uid"], _name(new)
        if _name(new)[0] not in ("Deployment", "PodDisruptionBudget"):  # controllers write their status
            assert old["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"], _name(new)
    found = await admin.items("v1", "Pod", SYSTEM)
    assert len({item["spec"]["nodeName"] for item in found}) == 2, "replicas are spread"
    assert not await _is_allowed(admin, "get", "secrets", "default")
    assert not await _is_allowed(admin, "delete", "services", "default")
    await _work(own, admin, tmp_path)


async def _work(own: Cluster, admin: Api, folder: Path) -> None:
    """A group's life under the daemon, which is never refused anything."""
    (port,) = free_ports(1)
    await _point_webhooks_here(own, admin, port)
    account = await own.service_account_kubeconfig(SYSTEM, ACCOUNT)
    mark = own.audit_mark()
    leads = ("--leader-elect", "--leader-election-namespace", SYSTEM)
    serves = ("--enable-webhooks", "all", "--webhook-host", "127.0.0.1", "--webhook-port", str(port))
    flags = (*leads, *serves, "--webhook-service-namespace", SYSTEM)
    async with daemon(account, folder / "rbgctrl", flags=flags):
        made = group("llm", "default", role("prefill", 2), role("decode", 3, "prefill"))
        # The API server asks webhooks only a moment after it was told whom to trust.
        await eventually(lambda: admin.create(made), 60, what="the group is admitted", retry_on=(HttpError,))
        await become_ready(admin, "llm", "default")
        assert await admin.get("workloads.x-k8s.io/v1alpha1", "RoleBasedGroup", "llm", "default")
        await fail(admin, "llm-decode-0", "default")
        fewer = group("llm", "default", role("prefill", 1))["spec"]
        await admin.merge(V1ALPHA2, "RoleBasedGroup", "llm", {"spec": fewer}, namespace="default")

        async def one_left() -> bool:
            return sorted(await pods(admin, "default")) == ["llm-prefill-0"]

        await eventually(one_left, 60, what="scaled down, and a role removed")
        await become_ready(admin, "llm", "default")
        await admin.delete(V1ALPHA2, "RoleBasedGroup", "llm", "default")

        async def gone() -> bool:
            return not await admin.items(V1ALPHA2, "RoleInstanceSet", "default")

        await eventually(gone, 60, what="the group's children are gone")
    asked = own.audit_events(after=mark, user=USER)
    assert len([event for event in asked if event.is_write]) > 20
    assert not [f"{event.verb} {event.request_uri}" for event in asked if event.code in (401, 403)]
    note_rights(own)


async def _point_webhooks_here(own: Cluster, admin: Api, port: int) -> None:
    """A Service cannot reach a process on this machine, so webhooks are called on a port of it."""
    await admin.delete("v1", "Service", SERVICE, SYSTEM)
    manifests = [item for item in render(CONFIG / "default") if item["kind"] in (WEBHOOKS[1], "Service")]
    for item in point_to_localhost(manifests, port=port, ca_pem=own.ca_pem):
        await admin.apply(item, manager="kubectl")
    for name in ("rolebasedgroups.workloads.x-k8s.io", "rolebasedgroupsets.workloads.x-k8s.io"):
        client = {"service": {"port": port}}
        await admin.merge(
            "apiextensions.k8s.io/v1", CRD, name, {"spec": {"conversion": {"webhook": {"clientConfig": client}}}}
        )


def _upstream(selector: dict[str, str], authority: str) -> list[dict[str, Any]]:
    """An installation as another package left it, under the names both projects share."""
    at = {"namespace": SYSTEM}
    container = {
        "name": "manager",
        "image": "registry.example/upstream:v0.8",
        "command": ["/manager"],
        "args": ["--leader-elect", "--zap-log-level=info"],
    }
    template = {
        "metadata": {"labels": selector},
        "spec": {"serviceAccountName": ACCOUNT, "containers": [{**container, "securityContext": _restricted()}]},
    }
    clients = {"service": {"name": "rbgs-webhook-service", "namespace": SYSTEM, "path": "/old"}}
    hook = {
        "name": "vrolebasedgroup.kb.io",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {**clients, "caBundle": authority},
        "sideEffects": "None",
        "failurePolicy": "Ignore",
    }
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    rbac = "rbac.authorization.k8s.io/v1"
    deployment = {"replicas": 1, "selector": {"matchLabels": selector}, "template": template}
    service = {"selector": selector, "ports": [{"port": 443, "targetPort": 9443}]}
    tls = {"tls.crt": authority, "tls.key": base64.b64encode(b"key").decode()}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, **at}},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": "rbgs-controller-role"}, "rules": [rule]},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "rbgs-webhook-service", **at}, "spec": service},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": "rbgs-webhook-cert", **at},
            "data": tls,
        },
        {"apiVersion": WEBHOOKS[0], "kind": WEBHOOKS[1], "metadata": {"name": HOOKS}, "webhooks": [hook]},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": MANAGER, **at}, "spec": deployment},
    ]


def _restricted() -> dict[str, Any]:
    return {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


async def test_applied_over_an_upstream_installation_it_upgrades_in_place_and_the_certificate_stays(
    own: Cluster, admin: Api
) -> None:
    authority = base64.b64encode(own.ca_pem).decode()
    theirs = _upstream({"control-plane": "upstream"}, authority)
    async with own.api(agent="helm/v3") as helm:
        before = [await helm.create(item) for item in theirs]
    with pytest.raises(HttpError, match="field is immutable"):  # the selector, which is not in the contract
        await _install(admin)
    await admin.delete("apps/v1", "Deployment", MANAGER, SYSTEM)
    await _install(admin)
    for old in before[:-1]:
        meta = old["metadata"]
        found = await admin.get(old["apiVersion"], old["kind"], meta["name"], meta.get("namespace", ""))
        assert found["metadata"]["uid"] == meta["uid"]
        if old["kind"] == "Secret":
            assert (found["data"], found["type"]) == (old["data"], old["type"])
    await eventually(lambda: _available(admin), 60, what="our replicas run")
    found = await admin.get("apps/v1", "Deployment", MANAGER, SYSTEM)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["rbgctrl"]
    assert "--zap-log-level=info" not in container["args"]
    cluster_role = await admin.get("rbac.authorization.k8s.io/v1", "ClusterRole", "rbgs-controller-role")
    assert not [rule for rule in cluster_role["rules"] if "*" in rule["verbs"]]
    first, second = (await admin.get(*WEBHOOKS, HOOKS))["webhooks"]
    assert first["clientConfig"]["caBundle"] == authority, "the trust stays until the controller renews it"
    assert first["failurePolicy"] == second["failurePolicy"] == "Fail"
    assert first["matchPolicy"] == "Equivalent"
    service = await admin.get("v1", "Service", "rbgs-webhook-service", SYSTEM)
    assert service["spec"]["selector"] == found["spec"]["selector"]["matchLabels"]
    assert [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [(443, 9443)]
