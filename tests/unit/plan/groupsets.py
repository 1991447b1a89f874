"""A world with a set of groups: manifests, what is decided, and what the set says."""

from __future__ import annotations

from typing import Any

from rbgctrl.api import labels
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.meta import Key
from rbgctrl.graph import groupsets as view
from rbgctrl.plan import groupset as plan
from rbgctrl.plan.model import Apply, Plan

from .world import World, role


def manifest(replicas: int = 3, *roles: dict[str, Any], name: str = "s", **template: Any) -> dict[str, Any]:
    spec = {"roles": list(roles) or [role("a")]}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas, "groupTemplate": {"spec": spec, **template}}}


def decide(world: World, name: str = "s") -> Plan:
    node = view.group_set(world.sources, Key("ml", name))
    assert node is not None
    return plan.group_set(node, world.now)


def born(world: World, *args: Any, **fields: Any) -> None:
    world.put(RoleBasedGroupSet, manifest(*args, **fields))
    world.settle()
    world.pass_time(10)
    world.settle()


def applied(made: Plan) -> list[str]:
    """Groups that are made or changed."""
    return [action.key.name for action in made.actions if isinstance(action, Apply) and action.kind is RoleBasedGroup]


def condition(world: World, kind: str, name: str = "s") -> dict[str, Any]:
    found = world.body(RoleBasedGroupSet, name).get("status", {}).get("conditions", ())
    return next((item for item in found if item["type"] == kind), {})


def status(world: World) -> tuple[int, int, int]:
    found = world.body(RoleBasedGroupSet, "s")["status"]
    return found["observedGeneration"], found["replicas"], found["readyReplicas"]


def annotate(world: World, **annotations: str) -> None:
    keys = {"max_unavailable": labels.GROUPSET_MAX_UNAVAILABLE, "partition": labels.GROUPSET_PARTITION}
    own = {keys[name]: value for name, value in annotations.items()}
    world.body(RoleBasedGroupSet, "s")["metadata"]["annotations"] = own


def image(world: World, name: str) -> str:
    pattern = world.body(RoleBasedGroup, name)["spec"]["roles"][0]["standalonePattern"]
    found: str = pattern["template"]["spec"]["containers"][0]["image"]
    return found
