"""Roles backed by LeaderWorkerSets."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api.workloads import LeaderWorkerSet
from rbgctrl.plan.workloads import TemplateError, WorkloadRequest, foreign

from .foreign import GOLDEN, STAMPS, body, differences, of_type, recorded, stored
from .requests import decoded, request, template


def engine(
    image: str = "eng:1", replicas: int = 2, update: dict[str, Any] | None = None, **more: Any
) -> WorkloadRequest:
    pattern = {"size": 3, "template": template({"name": "eng", "image": image}), **more}
    role: dict[str, Any] = {
        "name": "engine",
        "replicas": replicas,
        "annotations": of_type(LeaderWorkerSet),
        "leaderWorkerPattern": pattern,
    }
    if update is not None:
        role["rolloutStrategy"] = {"type": "RollingUpdate", "rollingUpdate": update}
    return request(role)


def test_it_is_the_recorded_one_but_for_what_the_server_fills_in() -> None:
    found = differences(GOLDEN.one("LeaderWorkerSet", "mixed-engine"), body(foreign.apply(recorded("engine"), None)))
    filled_in = {"metadata.generation", "spec.networkConfig.subdomainPolicy", "spec.startupPolicy"}
    assert found == filled_in | STAMPS


def test_a_stored_one_costs_no_request_whatever_the_server_filled_in() -> None:
    assert foreign.apply(engine(), stored(LeaderWorkerSet, foreign.apply(engine(), None))) is None


def test_the_one_that_the_reference_controller_made_is_taken_over_once() -> None:
    theirs = GOLDEN.one("LeaderWorkerSet", "mixed-engine")
    theirs["metadata"] |= {"uid": "uid-w", "resourceVersion": "7"}
    apply = foreign.apply(recorded("engine"), decoded(LeaderWorkerSet, theirs))
    assert apply is not None
    assert apply.inherit
    assert foreign.apply(recorded("engine"), stored(LeaderWorkerSet, apply)) is None


def test_leader_and_worker_have_their_own_template_and_size_counts_both() -> None:
    patch = {"spec": {"containers": [{"name": "eng", "command": ["lead"]}]}}
    sent = body(foreign.apply(engine(leaderTemplatePatch=patch), None))["spec"]["leaderWorkerTemplate"]
    assert sent["size"] == 3
    assert sent["leaderTemplate"]["spec"]["containers"][0]["command"] == ["lead"]
    assert "command" not in sent["workerTemplate"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("policy", "result"),
    [
        (None, "RecreateGroupOnPodRestart"),
        ("RecreateRoleInstanceOnPodRestart", "RecreateGroupOnPodRestart"),
        ("RecreateRBGOnPodRestart", "RecreateGroupOnPodRestart"),
        ("None", "None"),
    ],
)
def test_the_restart_policy_is_translated(policy: str | None, result: str) -> None:
    more: dict[str, Any] = {"restartPolicyConfig": {"type": policy}} if policy is not None else {}
    assert body(foreign.apply(engine(**more), None))["spec"]["leaderWorkerTemplate"]["restartPolicy"] == result


def test_limits_of_a_rolling_update_are_handed_on_with_the_partition_as_a_number() -> None:
    wanted = engine(replicas=5, update={"maxUnavailable": "40%", "maxSurge": 1, "partition": "50%"})
    sent = body(foreign.apply(wanted, None))["spec"]["rolloutStrategy"]
    assert sent == {
        "type": "RollingUpdate",
        "rollingUpdateConfiguration": {"maxUnavailable": "40%", "maxSurge": 1, "partition": 3},
    }


@pytest.mark.parametrize(("replicas", "result"), [(5, 1), (0, 1), (10, "10%")])
def test_a_share_too_small_for_one_group_is_one(replicas: int, result: int | str) -> None:
    wanted = engine(replicas=replicas, update={"maxUnavailable": "10%"})
    sent = body(foreign.apply(wanted, None))["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"]
    assert sent["maxUnavailable"] == result


@pytest.mark.parametrize(
    "changed",
    [{"image": "eng:2"}, {"replicas": 3}, {"size": 4}, {"update": {"partition": 1}}],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_changes_in_the_role_is_applied_and_then_settled(changed: dict[str, Any]) -> None:
    live = stored(LeaderWorkerSet, foreign.apply(engine(), None))
    apply = foreign.apply(engine(**changed), live)
    assert apply is not None
    assert (apply.uid, apply.version) == (live.uid, "7")
    assert foreign.apply(engine(**changed), stored(LeaderWorkerSet, apply)) is None


def test_it_brings_its_own_service_and_network() -> None:
    assert not foreign.has_service(LeaderWorkerSet)
    assert "networkConfig" not in body(foreign.apply(engine(), None))["spec"]


def test_a_role_without_leader_and_workers_cannot_be_one() -> None:
    wanted = request(
        {"name": "engine", "annotations": of_type(LeaderWorkerSet), "standalonePattern": {"template": template()}}
    )
    with pytest.raises(TemplateError, match="set leaderWorkerPattern"):
        foreign.apply(wanted, None)
