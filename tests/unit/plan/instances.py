"""RoleInstances in a world: manifests, one decision at a time, and what their status says."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from typing import Any

from rbgctrl.api import labels
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.graph import view
from rbgctrl.graph.nodes import InstanceNode
from rbgctrl.plan import instance as plan
from rbgctrl.plan.model import Plan
from rbgctrl.plan.ports import NO_PORTS, PortRange

from .world import World

NAME = "llm-engine-0"


def component(
    name: str = "main", size: int | None = 1, *, service: str = "svc", image: str = "engine:1", **annotations: Any
) -> dict[str, Any]:
    """A component of one container beside an init container; annotations by the name of their constant."""
    containers = [{"name": "main", "image": image, "env": [{"name": "MODE", "value": "x"}]}]
    spec = {"initContainers": [{"name": "fetch", "image": "fetch:1"}], "containers": containers}
    told = {getattr(labels, key): json.dumps(value) for key, value in annotations.items()}
    template: dict[str, Any] = {"metadata": {"labels": {"app": name}}, "spec": spec}
    made: dict[str, Any] = {"name": name, "serviceName": service, "template": template}
    if size is not None:
        made["size"] = size
    if told:
        made["annotations"] = told
        template["metadata"]["annotations"] = dict(told)
    return made


def instance(
    *components: dict[str, Any],
    name: str = NAME,
    role_type: str = "Components",
    annotations: Mapping[str, str] | None = None,
    bare: bool = False,
    **spec: Any,
) -> dict[str, Any]:
    """A RoleInstance; ``bare`` as a user would make one, without any label."""
    own = {
        labels.ROLE_TYPE: role_type,
        labels.GROUP_NAME: "llm",
        labels.ROLE_NAME: "engine",
        labels.ROLE_INSTANCE_INDEX: name.rpartition("-")[2],
    }
    metadata: dict[str, Any] = {"name": name, "namespace": "ml", "annotations": dict(annotations or {})}
    if not bare:
        metadata["labels"] = own
    return {"metadata": metadata, "spec": {"components": list(components) or [component()], **spec}}


def owned(world: World, body: dict[str, Any], *, set_name: str = "llm-engine", replicas: int = 2) -> dict[str, Any]:
    """The same instance, as one of a set, which is put into the world."""
    if set_name not in world.names(RoleInstanceSet):
        spec = {"replicas": replicas, "roleInstanceTemplate": {"components": []}}
        world.put(RoleInstanceSet, {"metadata": {"name": set_name, "namespace": "ml"}, "spec": spec})
    uid = world.body(RoleInstanceSet, set_name)["metadata"]["uid"]
    kind = RoleInstanceSet.KIND
    reference = {"apiVersion": kind.api_version, "kind": kind.kind, "name": set_name, "uid": uid, "controller": True}
    return {**body, "metadata": {**body["metadata"], "ownerReferences": [reference]}}


def add_node(world: World, name: str, *, ready: bool = True, hostname: str = "", taint: str = "") -> None:
    """A cluster node."""
    body: dict[str, Any] = {
        "metadata": {"name": name, "labels": {labels.NODE_HOSTNAME: hostname or name}},
        "spec": {"taints": [{"key": taint, "effect": "NoExecute"}]} if taint else {},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }
    if Key("", name) in world.shelves[Node].objects:
        found = world.shelves[Node].edit(Key("", name))
        found.update(spec=body["spec"], status=body["status"])
    else:
        world.put(Node, body, namespace="")


def node(world: World, name: str = NAME) -> InstanceNode:
    """What a reconcile of the instance looks at."""
    found = view.instance(world.sources, Key("ml", name))
    assert found is not None
    return found


def decide(world: World, name: str = NAME, ports: PortRange | None = None, used: Container[int] = NO_PORTS) -> Plan:
    """What it decides."""
    return plan.instance(node(world, name), world.now, ports, used)


def settle(
    world: World, *, ports: PortRange | None = None, used: Container[int] = NO_PORTS, kubelet: bool = True
) -> None:
    """Carry out what instances decide, and nobody else, until they are done."""
    for _ in range(30):
        plans = [decide(world, name, ports, used) for name in world.names(RoleInstance)]
        acted = [world.carry_out(found) for found in plans]
        if kubelet and world.run_pods():
            continue
        pauses = [found.requeue_after for found in plans if found.requeue_after]
        if not any(acted):
            if not pauses or min(pauses) > 2:
                return
            world.pass_time(min(pauses))
    raise AssertionError("the instances do not come to rest")


def of(found: Plan, action: type, kind: type = Pod) -> list[str]:
    """Names of the objects of a kind to which such an action is done."""
    return [item.key.name for item in found.actions if isinstance(item, action) and item.kind is kind]


def conditions(world: World, name: str = NAME) -> dict[str, dict[str, Any]]:
    """The conditions of an instance by type."""
    status = world.body(RoleInstance, name).get("status", {})
    return {item["type"]: item for item in status.get("conditions", [])}


def message(world: World, kind: str = "RoleInstanceReady", name: str = NAME) -> str:
    """What one condition says; ``""`` when there is none."""
    return str(conditions(world, name).get(kind, {}).get("message", ""))


def environment(world: World, pod: str, field: str = "containers") -> dict[str, str]:
    """Variables of the first container of a pod, those with a value."""
    found = world.body(Pod, pod)["spec"][field][0].get("env", ())
    return {item["name"]: item["value"] for item in found if "value" in item}


def uids(world: World) -> dict[str, str]:
    """UID of every pod by name."""
    return {item.metadata.name: item.uid for item in world.all(Pod)}


def terminate(world: World, pod: str, **metadata: Any) -> None:
    """Somebody asked for the deletion of a pod, and it is still there."""
    world.body(Pod, pod)["metadata"].update(deletionTimestamp="2026-11-22T12:00:00Z", **metadata)
