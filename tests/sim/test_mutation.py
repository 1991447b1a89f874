"""Whatever users do to a group, one step after the other: the end is what its last spec says, and nothing else.

Sequences are drawn by :mod:`rbgctrl.sim.mutation`; :mod:`rbgctrl.sim.oracles` says what must be true of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from rbgctrl.api.meta import Key
from rbgctrl.sim import oracles, run
from rbgctrl.sim.mutation import sequences
from rbgctrl.sim.mutation.groups import BREAKING
from rbgctrl.sim.oracles import Step, births, consistency, differential, ending, fresh, idempotence, play, rest
from rbgctrl.sim.storage import Obj
from rbgctrl.sim.world import World
from sim.groups import group, role

pytestmark = pytest.mark.usefixtures("quiet")

# A failing sequence is small as drawn, and each run of it takes a fifth of a second; shrinking would outlast the test.
DRAWN = settings(suppress_health_check=list(HealthCheck), database=None, phases=[Phase.generate])
LLM = Key("default", "llm")


@settings(DRAWN, max_examples=16)
@given(sequences())
def test_after_any_sequence_the_system_is_as_a_fresh_apply_of_the_last_spec(steps: tuple[Step, ...]) -> None:
    oracles.judge(steps)


@settings(DRAWN, max_examples=10)
@given(sequences(waits=(0.0, 0.1, 0.5, 1.0, 2.0)))
def test_nobody_has_to_wait_until_a_step_is_through(steps: tuple[Step, ...]) -> None:
    oracles.judge(steps)


@settings(DRAWN, max_examples=10)
@given(sequences(through=BREAKING))
def test_a_spec_that_cannot_be_run_is_recovered_from_when_it_is_mended(steps: tuple[Step, ...]) -> None:
    oracles.judge(steps)


@settings(DRAWN, max_examples=8)
@given(sequences(names=("change image", "scale up", "scale down", "scale to zero"), length=(4, 6)))
def test_images_and_numbers_may_change_at_once(steps: tuple[Step, ...]) -> None:
    oracles.judge(steps)


# Sequences that once failed -------------------------------------------------------------------------------------------

WAITING = group("llm", role("a", 1, "b"), role("b", 1, "a"))
PLAIN = group("llm", role("a"), role("b", 1, "a"))


def _annotated(**annotations: str) -> Obj:
    return group("llm", {**role("a"), "annotations": annotations})


def _paused(**pattern: Obj) -> Obj:
    base = role("a") if not pattern else {"name": "a", "replicas": 1, **pattern}
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"paused": True}}
    return group("llm", {**base, "rolloutStrategy": strategy})


FAILED: dict[str, tuple[Step, ...]] = {
    # Its first status made it look like a group of an older release, so its pods waited for a file nobody wrote.
    "born with a cycle": (Step("create", WAITING), Step("mend", PLAIN)),
    "born with a dependency on nobody": (
        Step("create", group("llm", role("a", 1, "ghost"))),
        Step("mend", group("llm", role("a", 1))),
    ),
    # The status of the group before landed on its namesake, with the same consequence.
    "recreated twice in a moment": (
        Step("create", group("llm", role("a", 3), role("b", 0, "a")), 30.0),
        Step("recreate", group("llm", role("a", 3), role("b", 0, "a")), 0.0, recreate=True),
        Step("recreate", group("llm", role("a", 3), role("b", 0, "a")), recreate=True),
    ),
    # An annotation without a value counted as absent, and one that was taken away stayed on the Service.
    "an annotation without a value": (Step("create", _annotated()), Step("edit", _annotated(team=""))),
    "an annotation that goes again": (
        Step("create", _annotated(team="a", tier="b")),
        Step("edit", _annotated(tier="b")),
    ),
    # The server refuses the workload; nobody was told why, and it was tried for ever.
    "a label that no object can carry": (
        Step("create", group("llm", {**role("a"), "labels": {"no key!": "no value!"}})),
        Step("mend", group("llm", role("a"))),
    ),
    # The whole group was refused, and the condition came and went with each attempt.
    "a label that no adapter can carry": (
        Step("create", group("llm", {**role("a"), "scalingAdapter": {"enable": True, "labels": {"no key!": "x"}}})),
        Step("mend", group("llm", role("a"))),
    ),
    # Pods of the former pattern are what a pause leaves running.
    "another pattern during a pause": (
        Step("create", _paused()),
        Step("switch", _paused(leaderWorkerPattern={"size": 2, **role("a")["standalonePattern"]})),
    ),
    "a profile that is missing": (
        Step("create", group("llm", role("a"))),
        Step("edit", group("llm", {**role("a"), "engineRuntimes": [{"profileName": "ghost"}]})),
        Step("mend", group("llm", role("a", 2))),
    ),
    # Its first role came up meanwhile, and nobody looked again after the counters had waited.
    "broken while it starts": (
        Step("create", PLAIN, 1.0),
        Step("break", WAITING),
        Step("mend", PLAIN),
    ),
    "all annotations go": (Step("create", _annotated(team="a")), Step("edit", _annotated())),
}


@pytest.mark.parametrize("name", FAILED)
def test_a_sequence_that_once_failed_does_not_fail_again(name: str) -> None:
    oracles.judge(FAILED[name])


# What oracles are worth -----------------------------------------------------------------------------------------------


def _edit(world: World, resource: str, name: str, change: Callable[[Obj], Any]) -> None:
    """Change a stored object behind everybody's back."""
    key = Key("default", name)
    found = world.cluster.server.storage.get(resource, key)
    assert found is not None
    changed = copy.deepcopy(found)
    change(changed)
    world.cluster.server.storage.commit(resource, key, changed)


SETS, GROUPS = "roleinstancesets.workloads.x-k8s.io", "rolebasedgroups.workloads.x-k8s.io"
INSTANCES = "roleinstances.workloads.x-k8s.io"
FORGED: dict[str, tuple[str, str, Callable[[Obj], Any], str]] = {
    "replicas": (SETS, "llm-b", lambda o: o["spec"].update(replicas=2), "replicas is 2, the role says 1"),
    "an image": (
        SETS,
        "llm-a",
        lambda o: o["spec"]["roleInstanceTemplate"]["components"][0]["template"]["spec"]["containers"][0].update(
            image="other"
        ),
        "its template has images {'main': 'other'}",
    ),
    "a pod's image": (
        "pods",
        "llm-a-0",
        lambda o: o["spec"]["containers"][0].update(image="other"),
        "pod llm-a-0 has images {'main': 'other'}",
    ),
    "a pod that is down": ("pods", "llm-a-0", lambda o: o["status"].update(conditions=[]), "its pods say False"),
    "a paused rollout": (SETS, "llm-a", lambda o: o["spec"]["updateStrategy"].update(paused=True), "paused is True"),
    "a Service": ("services", "s-llm-a", lambda o: o["spec"].update(selector={}), "service s-llm-a selects {}"),
    "the file": (
        "configmaps",
        "llm",
        lambda o: o["data"].update({"config.yaml": o["data"]["config.yaml"].replace("size: 1", "size: 7")}),
        "the discovery file says",
    ),
    "a set's counter": (SETS, "llm-a", lambda o: o["status"].update(readyReplicas=0), "status of set llm-a says"),
    "a group's counter": (GROUPS, "llm", lambda o: o["status"].update(roleStatuses=[]), "roleStatuses say []"),
    "readiness": (
        GROUPS,
        "llm",
        lambda o: o["status"]["conditions"][0].update(status="False"),
        "expected True",
    ),
    "an owner": (
        "configmaps",
        "llm",
        lambda o: o["metadata"]["ownerReferences"][0].update(uid="gone"),
        "configmaps llm outlived its owners",
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_consistency_sees_what_is_not_as_the_spec_says(what: str) -> None:
    resource, name, change, sentence = FORGED[what]

    async def main() -> list[str]:
        async with World() as world:
            daemon = await world.start()
            played = await play(world, (Step("create", PLAIN),))
            assert not consistency(world, played.key, played.body)
            await daemon.kill()
            _edit(world, resource, name, change)
            found = consistency(world, played.key, played.body)
            world.suspects.clear()
            return found

    found = run(main())
    assert any(sentence in line for line in found), found


def test_the_differential_sees_what_a_fresh_apply_would_not_leave() -> None:
    async def main() -> list[str]:
        async with World() as world:
            daemon = await world.start()
            await play(world, (Step("create", PLAIN),))
            await daemon.kill()
            _edit(world, SETS, "llm-a", lambda o: o["metadata"]["labels"].update(left="over"))
            _edit(world, "services", "s-llm-b", lambda o: o["metadata"].update(annotations={}))
            return differential(ending(world), await fresh(PLAIN))

    found = run(main())
    assert [line.split(" > ")[-1] for line in found] == ["left", "rbg.workloads.x-k8s.io/role-size"]


def test_of_instances_that_a_partition_holds_back_only_the_template_is_left_out() -> None:
    """:class:`rbgctrl.sim.oracles.Held` is about one instance here, and even that stays compared."""
    newer = group("llm", role("a", 2, image="registry.example/engine:2"), role("b", 1, "a"))
    newer["spec"]["roles"][0]["rolloutStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}

    async def main() -> tuple[oracles.Ending, list[str], list[str]]:
        async with World() as world:
            daemon = await world.start()
            await play(world, (Step("create", PLAIN), Step("image and scale", newer)))
            history, straight = ending(world), await fresh(newer)
            await daemon.kill()
            _edit(
                world,
                "pods",
                "llm-a-0",
                lambda o: o["metadata"]["labels"].update({"rbg.workloads.x-k8s.io/role-id": "x"}),
            )
            _edit(world, "pods", "llm-a-1", lambda o: o["spec"]["containers"][0].update(image="other"))
            return history, differential(history, straight), differential(ending(world), straight)

    history, unchanged, forged = run(main())
    assert history.held.instances == {f"{INSTANCES} default/llm-a-0"}
    assert history.held.roles == {"a"}
    assert unchanged == []
    assert [line.split(" > ")[0] for line in forged] == ["pods default/llm-a-0", "pods default/llm-a-1"]


def test_an_instance_with_an_earlier_template_that_nothing_holds_back_is_seen() -> None:
    newer = group("llm", role("a", image="registry.example/engine:2"), role("b", 1, "a"))

    async def main() -> tuple[list[str], list[str]]:
        async with World() as world:
            daemon = await world.start()
            played = await play(world, (Step("create", PLAIN), Step("image", newer)))
            assert not consistency(world, played.key, played.body)
            await daemon.kill()
            stale = {"controller-revision-hash": "llm-a-earlier"}
            _edit(world, INSTANCES, "llm-a-0", lambda o: o["metadata"]["labels"].update(stale))
            found = consistency(world, played.key, played.body)
            world.suspects.clear()
            return found, differential(ending(world), await fresh(newer))

    found, differing = run(main())
    assert any("instance llm-a-0 of set llm-a is at revision llm-a-earlier" in line for line in found)
    assert any(f"{INSTANCES} default/llm-a-0" in line for line in differing)


def test_a_group_that_cannot_be_run_in_full_has_no_ending_to_compare_with() -> None:
    with pytest.raises(ValueError, match="no one ending"):
        run(fresh(WAITING))


def test_idempotence_sees_a_daemon_that_writes_for_nothing() -> None:
    async def main() -> list[str]:
        async with World() as world:
            await world.start()
            await play(world, (Step("create", PLAIN),))
            assert not await idempotence(world, PLAIN)
            _edit(world, SETS, "llm-a", lambda o: o["spec"].update(minReadySeconds=3))  # which the daemon mends
            return await idempotence(world, PLAIN)

    assert "apply RoleInstanceSet default/llm-a" in run(main())[0]


def test_history_sees_a_role_that_starts_before_what_it_depends_on() -> None:
    async def main() -> list[str]:
        async with World() as world:
            await world.start()
            await world.apply(PLAIN)
            await rest(world)
            assert not births(world.timeline)
            late = next(m for m in world.timeline.moments if m.event.obj["metadata"]["name"] == "llm-b")
            early = next(n for n, m in enumerate(world.timeline.moments) if m.event.resource == SETS)
            world.timeline.moments.remove(late)
            world.timeline.moments.insert(early, late)
            return births(world.timeline)

    assert [line.split(" at ")[0] for line in run(main())] == [
        "set default/llm-b was created although a, which b depends on, is not ready"
    ]
