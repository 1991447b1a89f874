"""What somebody does to a group, one step after the other, and how a world lives through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.client import InternalServerError, InvalidError
from rbgctrl.sim.storage import Obj
from rbgctrl.sim.world import GROUPS, World

__all__ = ["LONGEST_REST", "Played", "Step", "play", "rest"]

_SETS = RoleInstanceSet.KIND.resource
_MOST_TURNS = 50
LONGEST_REST = 3600.0
"""Virtual seconds an instance may have to be ready for, and is waited for."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody does.

    Attributes:
        name: of the mutation, for reports.
        body: the group as applied, metadata and spec.
        wait: virtual seconds until the next step; None until everything has settled.
        recreate: delete the group first, and apply as soon as it is gone, whatever of its children is still there.
    """

    name: str
    body: Mapping[str, Any]
    wait: float | None = None
    recreate: bool = False


@dataclass(slots=True)
class Played:
    """What came of a sequence.

    Attributes:
        body: the last that the server took; None when it took none.
        key: of the group.
        last: name of the last step.
        refused: names of the steps that it did not take.
    """

    body: Mapping[str, Any] | None
    key: Key
    last: str = ""
    refused: list[str] = field(default_factory=list)


async def play(world: World, steps: Sequence[Step], settled: Callable[[Played], None] = lambda _: None) -> Played:
    """Take the steps, and come to rest after the last one.

    A step that the API server refuses as invalid changes nothing, as in life; a refused ``recreate`` has deleted.

    Args:
        world: with a daemon that works.
        steps: all about one group.
        settled: told each time the world has come to rest.
    """
    played = Played(None, _key(steps[0].body))
    for step in steps:
        played.last = step.name
        if step.recreate:
            await world.delete(played.key.name, namespace=played.key.namespace)
            played.body = None
        try:
            await world.apply(step.body)
            played.body = step.body
        except (InvalidError, InternalServerError):  # 500 is what an apply of two items with one key gets
            played.refused.append(step.name)
        if step.wait is None:
            await rest(world)
            settled(played)
        else:
            await asyncio.sleep(step.wait)
    if steps[-1].wait is not None:
        await rest(world)
        settled(played)
    return played


def _key(body: Mapping[str, Any]) -> Key:
    return Key(body["metadata"].get("namespace", "default"), body["metadata"]["name"])


async def rest(world: World) -> None:
    """Come to rest: instances that have to be ready for a while included, one after the other if a rollout waits."""
    await world.settle()
    longest = max((_patience(group) for group in world.cluster.server.storage.list(GROUPS)), default=0.0)
    if not 0 < longest <= LONGEST_REST:
        return
    for _ in range(_MOST_TURNS):
        await asyncio.sleep(longest)
        await world.settle()
        if not any(map(_rolling, world.cluster.server.storage.list(_SETS))):
            return


def _rolling(live: Obj) -> bool:
    status, strategy = live.get("status") or {}, live["spec"].get("updateStrategy") or {}
    outdated = status.get("updatedReplicas", 0) < status.get("expectedUpdatedReplicas", 0)
    return outdated and not strategy.get("paused")


def _patience(group: Obj) -> float:
    roles = (group.get("spec") or {}).get("roles") or ()
    return max((float(role.get("minReadySeconds", 0)) for role in roles), default=0.0)
