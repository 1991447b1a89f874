"""A group as the API server would hold it: a router, two prefill instances of two pods, and decode, which waits."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from rbgctrl.api import labels
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, Resource
from rbgctrl.api.workloads import Deployment
from rbgctrl.cli.loading import Further, sources
from rbgctrl.client.decode import Invalid, decoder
from rbgctrl.graph import view
from rbgctrl.graph.memory import Memory
from rbgctrl.graph.nodes import GroupNode
from unit.cli.apiserver import ApiServer, Manifest

R = TypeVar("R", bound=Resource)

NAMESPACE = "ml"
OURS = "workloads.x-k8s.io/v1alpha2"
GROUPS, SETS, INSTANCES = f"{OURS}/rolebasedgroups", f"{OURS}/roleinstancesets", f"{OURS}/roleinstances"
PODS, NODES = "v1/pods", "v1/nodes"
ADAPTERS, DEPLOYMENTS = f"{OURS}/rolebasedgroupscalingadapters", "apps/v1/deployments"
TEMPLATE = {"spec": {"containers": [{"name": "main", "image": "example/server:v1"}]}}


def meta(name: str, *, owner: str = "", namespace: str = NAMESPACE, **more: Any) -> Manifest:
    """Metadata with a UID made of the name."""
    owners = [{"apiVersion": OURS, "kind": "Owner", "name": owner, "uid": owner, "controller": True}] if owner else []
    found: Manifest = {"name": name, "uid": more.pop("uid", f"uid-{name}"), "generation": 1, "ownerReferences": owners}
    return found | ({"namespace": namespace} if namespace else {}) | {"resourceVersion": "1"} | more


def condition(kind: str, *, true: bool = True, reason: str = "", message: str = "") -> Manifest:
    """A status condition."""
    return {"type": kind, "status": "True" if true else "False", "reason": reason, "message": message}


def group(name: str = "llm", *, ready: bool = False, generation: int = 1, observed: int = 1) -> Manifest:
    """The group."""
    roles = [
        {"name": "router", "replicas": 1, "standalonePattern": {"template": TEMPLATE}},
        {
            "name": "prefill",
            "replicas": 2,
            "dependencies": ["router"],
            "leaderWorkerPattern": {"size": 2, "template": TEMPLATE},
        },
        {
            "name": "decode",
            "replicas": 1,
            "dependencies": ["prefill"],
            "customComponentsPattern": {
                "components": [
                    {"name": "leader", "size": 1, "template": TEMPLATE},
                    {"name": "worker", "size": 2, "template": TEMPLATE},
                ]
            },
        },
    ]
    reason = "AllRolesReady" if ready else "RoleNotReady"
    message = "All roles are ready" if ready else "Not all roles are ready: decode waits for prefill"
    return {
        "apiVersion": OURS,
        "kind": "RoleBasedGroup",
        "metadata": meta(name, generation=generation),
        "spec": {"roles": roles},
        "status": {
            "observedGeneration": observed,
            "conditions": [condition("Ready", true=ready, reason=reason, message=message)],
        },
    }


def instance_set(role: str, replicas: int, ready: int, *, group: str = "llm") -> Manifest:
    """The RoleInstanceSet of a role."""
    name = f"{group}-{role}"
    return {
        "metadata": meta(name, owner=f"uid-{group}", labels={labels.GROUP_NAME: group, labels.ROLE_NAME: role}),
        "spec": {"replicas": replicas, "roleInstanceTemplate": {"components": []}},
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "readyReplicas": ready,
            "updatedReplicas": replicas,
        },
    }


def instance(role: str, ordinal: int, components: dict[str, int], *, ready: bool, group: str = "llm") -> Manifest:
    """One RoleInstance."""
    name = f"{group}-{role}-{ordinal}"
    reason, message = ("", "") if ready else ("PodsNotReady", "waiting for pods")
    return {
        "metadata": meta(
            name,
            owner=f"uid-{group}-{role}",
            labels={labels.GROUP_NAME: group, labels.ROLE_ID: f"{group}.{role}.{ordinal}"},
        ),
        "spec": {"components": [{"name": n, "size": s, "template": TEMPLATE} for n, s in components.items()]},
        "status": {"conditions": [condition("RoleInstanceReady", true=ready, reason=reason, message=message)]},
    }


def pod(
    name: str,
    instance: str,
    component: str,
    index: int,
    *,
    node: str = "",
    ready: bool = True,
    restarts: int = 0,
    group: str = "llm",
) -> Manifest:
    """One pod; without a node it could not be scheduled."""
    conditions = [condition("PodScheduled"), condition("Ready", true=ready, reason="" if ready else "NotYet")]
    if not node:
        message = "0/2 nodes are available:\n2 Insufficient nvidia.com/gpu."
        conditions = [condition("PodScheduled", true=False, reason="Unschedulable", message=message)]
    status = {
        "phase": "Running" if node else "Pending",
        "podIP": f"10.0.0.{len(name)}" if node else "",
        "conditions": conditions,
        "containerStatuses": [{"name": "main", "ready": ready, "restartCount": restarts}] if node else [],
    }
    own = {labels.GROUP_NAME: group, labels.COMPONENT_NAME: component, labels.COMPONENT_ID: str(index)}
    own[labels.ROLE_ID] = f"id.{name}"
    return {
        "metadata": meta(name, owner=f"uid-{instance}", labels=own),
        "spec": {"nodeName": node, "containers": [{"name": "main"}]},
        "status": status,
    }


def node(name: str, *, domain: str = "fabric.0", zone: str = "zone-a", ready: bool = True) -> Manifest:
    """One GPU node."""
    own = {"nvidia.com/gpu.clique": domain, "topology.kubernetes.io/zone": zone}
    return {
        "metadata": meta(name, namespace="", labels=own),
        "status": {"conditions": [condition("Ready", true=ready)]},
    }


def scene() -> dict[str, list[Manifest]]:
    """Router ready; prefill 0 ready, prefill 1 with one pod that cannot be scheduled; decode not begun."""
    return {
        GROUPS: [group()],
        SETS: [instance_set("router", 1, 1), instance_set("prefill", 2, 1)],
        INSTANCES: [
            instance("router", 0, {"main": 1}, ready=True),
            instance("prefill", 0, {"leader": 1, "worker": 1}, ready=True),
            instance("prefill", 1, {"leader": 1, "worker": 1}, ready=False),
        ],
        PODS: [
            pod("llm-router-0", "llm-router-0", "main", 0, node="node-0", restarts=2),
            pod("llm-prefill-0-0", "llm-prefill-0", "leader", 0, node="node-0"),
            pod("llm-prefill-0-1", "llm-prefill-0", "worker", 0, node="node-1"),
            pod("llm-prefill-1-0", "llm-prefill-1", "leader", 0),
        ],
        NODES: [node("node-0"), node("node-1", domain="fabric.1", zone="zone-b")],
    }


def adapter(role: str, replicas: int | None, *, phase: str = "Bound", group: str = "llm") -> Manifest:
    """The scaling adapter of a role."""
    name = f"{group}-{role}"
    owner = {"apiVersion": OURS, "kind": "RoleBasedGroup", "name": group, "uid": f"uid-{group}"}
    asked = {} if replicas is None else {"replicas": replicas}
    return {
        "metadata": meta(name, labels={labels.GROUP_NAME: group, labels.ROLE_NAME: role})
        | {"ownerReferences": [owner]},
        "spec": {"scaleTargetRef": {"name": group, "role": role}, **asked},
        "status": {"phase": phase},
    }


def with_deployment() -> dict[str, list[Manifest]]:
    """The scene with a further role, web: a Deployment of two pods, one of them ready."""
    found = scene()
    web = {
        "name": "web",
        "replicas": 2,
        "standalonePattern": {"template": TEMPLATE},
        "annotations": {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_DEPLOYMENT},
    }
    found[GROUPS][0]["spec"]["roles"].append(web)
    own = {labels.GROUP_NAME: "llm", labels.ROLE_NAME: "web"}
    found[DEPLOYMENTS] = [
        {
            "metadata": meta("llm-web", owner="uid-llm", labels=own),
            "spec": {"replicas": 2, "selector": {"matchLabels": own}},
            "status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": 1, "updatedReplicas": 2},
        }
    ]
    for name, ready in (("llm-web-5d-a", True), ("llm-web-5d-b", False)):
        made = pod(name, "llm-web-5d", "", 0, node="node-1", ready=ready)
        made["metadata"]["labels"] = own
        made["metadata"]["ownerReferences"][0]["kind"] = "ReplicaSet"
        found[PODS].append(made)
    return found


def load(server: ApiServer, found: dict[str, list[Manifest]] | None = None) -> None:
    """Puts a scene on a server."""
    for collection, manifests in (found or scene()).items():
        server.served.add(collection)
        for manifest in manifests:
            server.put(collection, manifest)


def decode(kind: type[R], manifests: list[Manifest]) -> list[R]:
    """Manifests as objects."""
    objects = [decoder(kind).one(msgspec.json.encode(manifest)) for manifest in manifests]
    assert not [item for item in objects if isinstance(item, Invalid)], objects
    return [item for item in objects if not isinstance(item, Invalid)]


def graph(
    found: dict[str, list[Manifest]] | None = None, name: str = "llm", absent: tuple[type[Resource], ...] = ()
) -> GroupNode:
    """A scene as the object graph."""
    found = found or scene()
    built = view.group(
        sources(
            Memory(decode(RoleBasedGroup, found[GROUPS])),
            Memory(decode(RoleInstanceSet, found[SETS])),
            Memory(decode(RoleInstance, found[INSTANCES])),
            Memory(decode(Pod, found[PODS])),
            Further(
                adapters=Memory(decode(RoleBasedGroupScalingAdapter, found.get(ADAPTERS, []))),
                deployments=Memory(decode(Deployment, found.get(DEPLOYMENTS, []))),
                absent=absent,
            ),
        ),
        Key(NAMESPACE, name),
        deep=True,
    )
    assert built is not None
    return built


def nodes(found: dict[str, list[Manifest]] | None = None) -> dict[str, Node]:
    """The nodes of a scene by name."""
    return {item.key.name: item for item in decode(Node, (found or scene())[NODES])}
