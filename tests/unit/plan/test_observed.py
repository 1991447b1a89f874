"""What a workload of any kind says about itself."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import LabelSelector
from rbgctrl.api.workloads import Deployment, LeaderWorkerSet, StatefulSet, Workload
from rbgctrl.plan.observed import Observed, observe, selector_text

from .requests import decoded

SPEC = {"selector": {"matchLabels": {"b": "2", "a": "1"}}, "roleInstanceTemplate": {}}
OBSERVING = (RoleInstanceSet, Deployment, StatefulSet)


def workload(kind: type[Any], wanted: int | None = 2, *, generation: int = 1, **status: Any) -> Workload:
    found: Workload = decoded(
        kind,
        {
            "metadata": {"name": "w", "namespace": "ml", "uid": "u", "generation": generation},
            "spec": {**SPEC, "replicas": wanted},
            "status": status,
        },
    )
    return found


@pytest.mark.parametrize("kind", OBSERVING)
def test_counters_are_those_of_the_status(kind: type[Any]) -> None:
    seen = observe(workload(kind, observedGeneration=1, replicas=3, readyReplicas=2, updatedReplicas=1))
    assert (seen.wanted, seen.replicas, seen.ready_replicas, seen.updated_replicas) == (2, 3, 2, 1)
    assert seen.current
    assert seen.ready


@pytest.mark.parametrize("kind", OBSERVING)
def test_counters_of_an_older_spec_start_nothing(kind: type[Any]) -> None:
    seen = observe(workload(kind, generation=2, observedGeneration=1, replicas=2, readyReplicas=2))
    assert not seen.current
    assert not seen.ready


@pytest.mark.parametrize("kind", OBSERVING)
@pytest.mark.parametrize(("ready", "result"), [(1, False), (2, True), (3, True)])
def test_more_ready_than_wanted_is_ready(kind: type[Any], ready: int, *, result: bool) -> None:
    assert observe(workload(kind, observedGeneration=1, replicas=3, readyReplicas=ready)).ready is result


@pytest.mark.parametrize("kind", [*OBSERVING, LeaderWorkerSet])
def test_one_that_was_just_created_is_not_ready_even_when_nothing_is_wanted(kind: type[Any]) -> None:
    assert not observe(workload(kind, 0)).ready
    assert not observe(workload(kind, 2)).ready


@pytest.mark.parametrize("kind", OBSERVING)
def test_nothing_wanted_is_ready_once_it_was_seen(kind: type[Any]) -> None:
    assert observe(workload(kind, 0, observedGeneration=1)).ready


@pytest.mark.parametrize("kind", [*OBSERVING, LeaderWorkerSet])
def test_without_a_number_one_is_wanted(kind: type[Any]) -> None:
    assert observe(workload(kind, None)).wanted == 1


def test_a_leader_worker_set_counts_from_the_moment_its_controller_looked() -> None:
    seen = observe(workload(LeaderWorkerSet, replicas=2, readyReplicas=2, updatedReplicas=2, hpaPodSelector="x=y"))
    assert (seen.replicas, seen.ready_replicas, seen.updated_replicas, seen.selector) == (2, 2, 2, "x=y")
    assert seen.ready
    assert observe(workload(LeaderWorkerSet, 0, hpaPodSelector="x=y")).ready
    assert not observe(workload(LeaderWorkerSet, 3, replicas=3, readyReplicas=2, hpaPodSelector="x=y")).ready


def test_extra_pods_of_a_rollout_are_not_waited_for() -> None:
    metadata = {
        "name": "w",
        "namespace": "ml",
        "uid": "u",
        "generation": 1,
        "annotations": {labels.ROLE_SIZE: "4"},
    }
    status = {"observedGeneration": 1, "replicas": 5, "readyReplicas": 4}
    seen = observe(decoded(StatefulSet, {"metadata": metadata, "spec": {"replicas": 5}, "status": status}))
    assert (seen.wanted, seen.needed) == (5, 4)
    assert seen.ready


@pytest.mark.parametrize("kind", [*OBSERVING, LeaderWorkerSet])
def test_one_on_its_way_out_is_not_ready(kind: type[Any]) -> None:
    metadata = {
        "name": "w",
        "namespace": "ml",
        "uid": "u",
        "generation": 1,
        "deletionTimestamp": "2026-11-22T12:00:00Z",
    }
    status = {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1}
    seen = observe(decoded(kind, {"metadata": metadata, "spec": {**SPEC, "replicas": 1}, "status": status}))
    assert seen.deleting
    assert not seen.ready


def test_selectors_of_pods_are_told_in_the_apis_syntax() -> None:
    assert observe(workload(Deployment)).selector == "a=1,b=2"
    assert observe(workload(StatefulSet)).selector == "a=1,b=2"
    assert observe(workload(RoleInstanceSet, labelSelector="c=3")).selector == "c=3"
    rules = (
        {"key": "z", "operator": "In", "values": ["2", "1"]},
        {"key": "y", "operator": "NotIn", "values": ["1"]},
        {"key": "x", "operator": "DoesNotExist"},
        {"key": "w", "operator": "Exists"},
    )
    assert selector_text(LabelSelector(match_labels={"m": "1"}, match_expressions=rules)) == (
        "m=1,w,!x,y notin (1),z in (1,2)"
    )


def test_nothing_is_observed_by_default() -> None:
    assert not Observed(wanted=0, needed=0).ready
