"""Differences from the upstream controller that no other test states; each has its row in docs/compat.md."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from rbgctrl.api.core import ConfigMap, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet, RoleInstanceSetSpec, RoleInstanceSetStatus
from rbgctrl.api.meta import ObjectMeta
from rbgctrl.plan.model import Patch
from rbgctrl.plan.observed import observe
from rbgctrl.plan.patience import PATIENCE, PERIOD, rest, youth

from .world import NOW, World, group, role


def _set(replicas: int | None, *, ready: int, observed: int = 1, **metadata: Any) -> RoleInstanceSet:
    return RoleInstanceSet(
        metadata=ObjectMeta(name="llm-a", namespace="ml", generation=1, **metadata),
        spec=RoleInstanceSetSpec(replicas=replicas, role_instance_template=msgspec.Raw(b"{}")),
        status=RoleInstanceSetStatus(ready_replicas=ready, observed_generation=observed),
    )


@pytest.mark.parametrize(
    ("live", "ready"),
    [
        (None, False),
        (_set(2, ready=1), False),
        (_set(2, ready=2), True),
        (_set(2, ready=3), True),
        (_set(0, ready=0), True),
        (_set(None, ready=1), True),
        (_set(2, ready=2, observed=0), False),
        (_set(2, ready=2, deletion_timestamp="2026-11-22T12:00:00Z"), False),
    ],
    ids=["absent", "too few", "enough", "more than enough", "none wanted", "default", "spec not seen", "going away"],
)
def test_a_dependency_is_ready_when_its_workload_has_seen_the_spec_and_has_enough(
    live: RoleInstanceSet | None, ready: bool
) -> None:
    assert (live is not None and observe(live).ready) is ready


@pytest.mark.parametrize(
    ("seconds_ago", "pause"), [(0, PATIENCE), (0.5, 1.5), (PATIENCE, None), (3600, None), (-1, PATIENCE), (-10, None)]
)
def test_a_status_waits_until_nothing_has_moved_for_two_seconds_and_a_clock_that_is_off_makes_nobody_wait(
    seconds_ago: float, pause: float | None
) -> None:
    moment = (NOW - timedelta(seconds=seconds_ago)).isoformat()
    assert rest([None, "2020-01-01T00:00:00Z", moment], NOW) == pause


def test_what_moves_on_and_on_is_told_of_once_in_a_while() -> None:
    moved = NOW.isoformat()
    ages = range(61)
    written = [age for age in ages if rest([moved], NOW, (NOW - timedelta(seconds=age)).isoformat()) is None]
    assert written == [15, 30, 45, 60]
    assert rest([moved], NOW, (NOW - timedelta(seconds=14)).isoformat()) == 1, "it is looked at again in time"


def test_a_birth_in_which_all_goes_as_it_should_is_not_commented_for_a_quarter_of_a_minute() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a", 2)))
    world.settle(kubelet=False)
    kinds = (RoleBasedGroup, RoleInstanceSet, RoleInstance)
    assert not [kind for kind in kinds for name in world.names(kind) if "status" in world.body(kind, name)]
    assert youth(NOW.isoformat(), NOW) == PERIOD
    world.pass_time(PERIOD)
    world.settle(kubelet=False)
    assert all("status" in world.body(kind, name) for kind in kinds for name in world.names(kind))


def test_readiness_is_told_at_once_and_counters_of_what_moves_are_not() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a", 3)))
    for _ in range(2):
        world.settle(kubelet=False)
        world.pass_time(PERIOD)
    world.settle(kubelet=False)
    world.writes.clear()
    world.pass_time(605)
    world.run_pods(ready=lambda name: name == "llm-a-0")
    for _ in range(3):  # no time passes between these
        for plan in world.plan_all():
            world.carry_out(plan)
    told = {action.key.name for action in world.writes if isinstance(action, Patch) and action.kind is not Pod}
    assert told == {"llm-a-0"}, "the instance is ready, its set and group are not: only the former is news"


def test_updated_replicas_of_a_group_follow_a_changed_template() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a", 2)))
    world.settle()
    world.put(RoleBasedGroup, group("llm", role("a", 2, image="engine:2")))
    world.settle()
    (status,) = world.body(RoleBasedGroup, "llm")["status"]["roleStatuses"]
    assert (status["replicas"], status["readyReplicas"], status["updatedReplicas"]) == (2, 2, 2)


def test_a_birth_is_one_event_for_each_set_and_nothing_is_said_of_a_pass_that_went_well() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a", 3), role("b", 2, "a")))
    world.settle()
    told = [(note.subject.kind, note.subject.key.name, note.reason) for note in world.notes]
    assert told == [
        ("RoleInstanceSet", "llm-a", "SuccessfulCreate"),
        ("RoleInstanceSet", "llm-b", "SuccessfulCreate"),
    ]


def test_no_pod_has_a_generated_name() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a")))
    world.settle()
    assert "generateName" not in world.body(Pod, "llm-a-0")["metadata"]


def test_a_config_map_named_like_a_workload_does_not_make_a_group_an_old_one() -> None:
    world = World()
    world.put(ConfigMap, {"metadata": {"name": "llm-a"}, "data": {}})
    world.put(RoleBasedGroup, group("llm", role("a")))
    world.settle()
    assert "llm" in world.names(ConfigMap)


@pytest.mark.parametrize(
    "field",
    [
        {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "partition": 1}}},
    ],
    ids=lambda field: next(iter(field)),
)
def test_fields_that_are_not_acted_on_yet_keep_no_role_from_running(field: dict[str, Any]) -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a", 2, **field)))
    world.settle()
    assert world.body(RoleBasedGroup, "llm")["status"]["conditions"][0]["status"] == "True"
