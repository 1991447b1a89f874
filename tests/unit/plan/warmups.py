"""A world with warmups: manifests, nodes, what becomes of pods, and what a warmup says."""

from __future__ import annotations

from typing import Any

from rbgctrl.api import labels
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.meta import Key
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.graph import warmups as view
from rbgctrl.plan import warmup as plan
from rbgctrl.plan.conditions import stamp
from rbgctrl.plan.model import Plan

from .world import World

PRELOAD = {"imagePreload": {"images": ["registry.example/a:1"]}}
SPREAD = {"pool": "gpu"}


def nodes(world: World, *found: str, **carried: str) -> None:
    for name in found:
        own = {"kubernetes.io/hostname": name, **(carried or SPREAD)}
        world.put(Node, {"metadata": {"name": name, "labels": own}}, namespace="")


def manifest(name: str = "w", *, spec: dict[str, Any] | None = None, **policies: Any) -> dict[str, Any]:
    body = spec or {"targetNodes": {"nodeSelector": SPREAD, **PRELOAD}}
    return {"metadata": {"name": name}, "spec": {**body, **({"policies": policies} if policies else {})}}


def of_group(**roles: Any) -> dict[str, Any]:
    return {"targetRoleBasedGroup": {"name": "llm", "roles": roles}}


def decide(world: World, name: str = "w") -> Plan:
    node = view.warmup(world.sources, Key("ml", name))
    assert node is not None
    return plan.warmup(node, world.now)


def step(world: World, name: str = "w") -> Plan:
    """What is decided now, carried out; a second look must find nothing to write."""
    made = decide(world, name)
    world.carry_out(made)
    if name in world.names(RoleBasedGroupWarmup):
        assert decide(world, name).empty, decide(world, name).because
    return made


def become(world: World, pod: str, phase: str, *, node: str = "") -> None:
    body = world.body(Pod, pod)
    moved = {"type": "Ready", "status": "False", "lastTransitionTime": stamp(world.now)}
    body["status"] = {"phase": phase, "conditions": [moved]}
    if node:
        body["spec"]["nodeName"] = node


def all_become(world: World, phase: str) -> None:
    for pod in world.all(Pod):
        if pod.status.phase not in ("Succeeded", "Failed"):
            become(world, pod.metadata.name, phase)


def status(world: World, name: str = "w") -> dict[str, Any]:
    found: dict[str, Any] = world.body(RoleBasedGroupWarmup, name).get("status", {})
    return found


def counters(world: World) -> tuple[int, int, int, int]:
    found = status(world)
    return found["desired"], found["active"], found["succeeded"], found["failed"]


def condition(world: World, kind: str, name: str = "w") -> dict[str, Any] | None:
    return next((item for item in status(world, name).get("conditions", ()) if item["type"] == kind), None)


def told(world: World) -> list[str]:
    return [note.reason for note in world.notes]


def on(world: World) -> list[str]:
    """Nodes of the pods that are at work."""
    return [
        pod.metadata.labels[labels.WARMUP_NODE]
        for pod in world.all(Pod)
        if pod.status.phase not in ("Succeeded", "Failed")
    ]


def step_once(world: World) -> Plan:
    """What is decided now, carried out."""
    made = decide(world)
    world.carry_out(made)
    return made
