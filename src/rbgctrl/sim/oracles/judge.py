"""All oracles on one sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rbgctrl.api.meta import Key
from rbgctrl.sim.checks import BrokenPromiseError
from rbgctrl.sim.loop import run
from rbgctrl.sim.oracles.consistency import consistency
from rbgctrl.sim.oracles.differential import differential, ending, fresh
from rbgctrl.sim.oracles.history import births
from rbgctrl.sim.oracles.steps import Played, Step, play
from rbgctrl.sim.oracles.verdict import verdict
from rbgctrl.sim.storage import Obj
from rbgctrl.sim.world import GROUPS, World, WorldOptions

__all__ = ["examine", "idempotence", "judge", "recovery"]


def recovery(world: World, key: Key, body: Mapping[str, Any]) -> list[str]:
    """What is left of earlier faults now that a group can be run; call it on a world at rest.

    Args:
        world: where.
        key: of the group.
        body: as last applied.
    """
    if not verdict(body).runnable:
        return []
    group = world.get(GROUPS, key.name, key.namespace) or {}
    found = [] if world.is_ready(key.name, key.namespace) else [f"has not recovered: {group.get('status')}"]
    failed = [
        f"{resource} {obj['metadata']['name']} still says {item['type']}: {item.get('message')}"
        for resource in ("roleinstancesets.workloads.x-k8s.io", "roleinstances.workloads.x-k8s.io")
        for obj in world.objects(resource, key.namespace)
        for item in _conditions(obj)
        if item["type"].startswith("Failed") and item["status"] == "True"
    ]
    return found + failed


def _conditions(obj: Obj) -> list[Obj]:
    return list((obj.get("status") or {}).get("conditions") or ())


async def idempotence(world: World, body: Mapping[str, Any], *, minutes: float = 10.0) -> list[str]:
    """Writes of daemons after ``body`` is applied once more, in quiet minutes, and on a resync, one sentence each.

    Args:
        world: at rest, with ``body`` applied last.
        body: what to apply again.
        minutes: virtual minutes to wait.
    """
    mark = len(world.timeline.asked)
    await world.apply(body)
    await world.settle()
    written = [str(asked) for daemon in world.daemons for asked in world.timeline.writes(daemon.name, since=mark)]
    try:
        await world.stay_quiet(minutes)
    except BrokenPromiseError as error:
        written.append(str(error))
    return written


async def examine(steps: Sequence[Step], options: WorldOptions | None = None) -> dict[str, list[str]]:
    """Play a sequence and ask every oracle; sentences about what is wrong by oracle, empty when nothing is.

    Args:
        steps: what somebody does; the last must leave a group that can be run, or none.
        options: of the world.

    Raises:
        BrokenPromiseError: a promise of every run was broken; see :mod:`rbgctrl.sim.checks`.
        ValueError: this version cannot run the group that the steps leave.
    """
    found: dict[str, list[str]] = {}

    async with World(options) as world:
        await world.start()

        def settled(played: Played) -> None:
            for line in consistency(world, played.key, played.body):
                found.setdefault("consistency", []).append(f"after {played.last}: {line}")

        played = await play(world, steps, settled)
        found["history"] = births(world.timeline)
        if played.body is not None:
            found["recovery"] = recovery(world, played.key, played.body)
            found["idempotence"] = await idempotence(world, played.body)
        history = ending(world)
    if played.body is not None:
        found["differential"] = differential(history, await fresh(played.body, options))
    return {oracle: lines for oracle, lines in found.items() if lines}


def judge(steps: Sequence[Step], options: WorldOptions | None = None) -> None:
    """:func:`examine`, in virtual time.

    Raises:
        BrokenPromiseError: an oracle found something; every sentence and the steps are in the message.
        ValueError: as :func:`examine`.
    """
    found = run(examine(steps, options))
    if found:
        told = [f"{oracle}: {line}" for oracle, lines in found.items() for line in lines[:10]]
        raise BrokenPromiseError("\n".join((*told, "after", *map(repr, steps))))
