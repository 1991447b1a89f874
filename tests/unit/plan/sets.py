"""RoleInstanceSets made by hand, and what their planner decides about them."""

from __future__ import annotations

import copy
from typing import Any

from rbgctrl.api import labels
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.graph import view
from rbgctrl.plan import role as plan
from rbgctrl.plan.model import Apply, Delete, Patch, Plan

from .world import World

NAME = "engine"


def instance_set(replicas: int = 3, *, image: str = "engine:1", stateless: bool = False, **spec: Any) -> dict[str, Any]:
    """A set of one pod for each instance, as a user would create it: no group label anywhere."""
    template = {"spec": {"containers": [{"name": "main", "image": image}]}}
    annotations = {labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS} if stateless else {}
    return {
        "metadata": {
            "name": NAME,
            "namespace": "ml",
            "labels": {"app": "engine", labels.ROLE_TYPE: "PodTemplate"},
            "annotations": annotations,
        },
        "spec": {
            "replicas": replicas,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "engine"}},
            "roleInstanceTemplate": {"components": [{"name": "main", "size": 1, "template": template}]},
            "updateStrategy": {"maxUnavailable": 1},
            **copy.deepcopy(spec),
        },
    }


def annotate(world: World, **annotations: str) -> None:
    world.body(RoleInstanceSet, NAME)["metadata"].setdefault("annotations", {}).update(annotations)


def decide(world: World) -> Plan:
    node = view.role(world.sources, Key("ml", NAME))
    assert node is not None
    return plan.role(node, world.now)


def created(found: Plan) -> list[str]:
    return [item.key.name for item in found.actions if isinstance(item, Apply) and item.kind is RoleInstance]


def deleted(found: Plan) -> list[str]:
    return [item.key.name for item in found.actions if isinstance(item, Delete) and item.kind is RoleInstance]


def patched(found: Plan, kind: type[Any] = RoleInstance) -> dict[str, Any]:
    """Bodies of patches by the name of what they change; those of a status left out."""
    return {
        item.key.name: item.body
        for item in found.actions
        if isinstance(item, Patch) and item.kind is kind and not item.subresource
    }


def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.body(RoleInstanceSet, NAME)["status"]
    return found


def stalled(world: World) -> str:
    """The message of the condition that says what is wrong, or ``""``."""
    told = [item for item in status(world).get("conditions") or () if item["type"] == "Stalled"]
    assert all(item["status"] == "True" for item in told)
    return str(told[0]["message"]) if told else ""


def images(world: World) -> dict[str, str]:
    """The image of each instance by its name."""
    found = {name: world.body(RoleInstance, name) for name in world.names(RoleInstance)}
    return {
        name: body["spec"]["components"][0]["template"]["spec"]["containers"][0]["image"]
        for name, body in found.items()
    }


def uids(world: World, kind: type[Any] = RoleInstance) -> dict[str, str]:
    return {name: world.body(kind, name)["metadata"]["uid"] for name in world.names(kind)}
