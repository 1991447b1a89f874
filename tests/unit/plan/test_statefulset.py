"""Roles backed by StatefulSets; the arithmetic of their rolling updates has tests of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.api.workloads import StatefulSet
from rbgctrl.plan.model import Apply
from rbgctrl.plan.workloads import WorkloadRequest, foreign
from rbgctrl.plan.workloads.statefulset import ordinals
from rbgctrl.plan.workloads.statefulsetrollout import MISSING, Ordinal

from .foreign import GOLDEN, POD_DEFAULTS, STAMPS, body, differences, of_type, recorded, stored
from .requests import decoded, request, template

OLD, NEW = "llm-store-old", "llm-store-new"


def store(image: str = "redis:7", **more: Any) -> WorkloadRequest:
    pattern = {"template": template({"name": "redis", "image": image})}
    role = {"name": "store", "replicas": 4, "annotations": of_type(StatefulSet), "standalonePattern": pattern, **more}
    return request(role)


def surge(unavailable: int | str = 1, extra: int | str = 1, partition: int | str = 0) -> dict[str, Any]:
    update = {"maxUnavailable": unavailable, "maxSurge": extra, "partition": partition}
    return {"type": "RollingUpdate", "rollingUpdate": update}


def pod(ordinal: int, revision: str = OLD, *, ready: bool = True, deleting: bool = False) -> Pod:
    metadata = {
        "name": f"llm-store-{ordinal}",
        "namespace": "ml",
        "uid": f"uid-{ordinal}",
        "labels": {labels.CONTROLLER_REVISION_HASH: revision},
    }
    if deleting:
        metadata["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    return decoded(Pod, {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": str(ready)}]}})


def rolled(apply: Apply | None) -> tuple[int, int]:
    """The partition and the replicas that are sent."""
    spec = body(apply)["spec"]
    return spec["updateStrategy"]["rollingUpdate"]["partition"], spec["replicas"]


def test_it_is_the_recorded_one_but_for_what_the_server_fills_in() -> None:
    found = differences(GOLDEN.one("StatefulSet", "mixed-store"), body(foreign.apply(recorded("store"), None)))
    filled_in = {
        "metadata.generation",
        "spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled",
        "spec.revisionHistoryLimit",
        "spec.template.spec.containers[0].env[1].valueFrom.fieldRef.apiVersion",
        "spec.template.spec.volumes[0].configMap.defaultMode",
    }
    assert found == filled_in | POD_DEFAULTS | STAMPS


def test_a_stored_one_costs_no_request_whatever_the_server_filled_in() -> None:
    live = stored(StatefulSet, foreign.apply(store(), None), updateRevision=OLD)
    assert foreign.apply(store(), live, [pod(number) for number in range(4)]) is None
    assert foreign.apply(store(), live, []) is None


def test_the_one_that_the_reference_controller_made_is_taken_over_without_a_rollout() -> None:
    theirs = GOLDEN.one("StatefulSet", "mixed-store")
    theirs["metadata"] |= {"uid": "uid-w", "resourceVersion": "7"}
    apply = foreign.apply(recorded("store"), decoded(StatefulSet, theirs))
    assert apply is not None
    assert apply.inherit
    assert rolled(apply) == (0, 2)


def test_pods_start_side_by_side_and_wait_as_long_as_the_role_says() -> None:
    spec = body(foreign.apply(store(minReadySeconds=7), None))["spec"]
    assert (spec["podManagementPolicy"], spec["minReadySeconds"], spec["serviceName"]) == ("Parallel", 7, "s-llm-store")


def test_what_cannot_be_changed_stays_as_it_is() -> None:
    old = body(foreign.apply(store(), None))
    old["metadata"] |= {"uid": "uid-w", "resourceVersion": "7", "generation": 1}
    old["spec"] |= {
        "selector": {"matchLabels": {"app": "old"}},
        "serviceName": "llm-store",
        "podManagementPolicy": "OrderedReady",
    }
    sent = body(foreign.apply(store("redis:8"), decoded(StatefulSet, old)))["spec"]
    assert sent["selector"] == {"matchLabels": {"app": "old"}}
    assert (sent["serviceName"], sent["podManagementPolicy"]) == ("llm-store", "OrderedReady")
    assert sent["template"]["metadata"]["labels"]["app"] == "old"


def test_a_new_template_comes_with_a_partition_that_holds_every_pod() -> None:
    live = stored(StatefulSet, foreign.apply(store(), None), updateRevision=OLD)
    apply = foreign.apply(store("redis:8"), live, [pod(number) for number in range(4)])
    assert apply is not None
    assert (apply.uid, apply.version) == (live.uid, "7")
    assert rolled(apply) == (4, 4)
    assert rolled(foreign.apply(store("redis:8", rolloutStrategy=surge()), live)) == (4, 5)


def test_until_its_controller_has_seen_the_template_nothing_moves() -> None:
    apply = foreign.apply(store("redis:8"), stored(StatefulSet, foreign.apply(store(), None)), [])
    seen = stored(StatefulSet, apply, updateRevision=OLD, generation=2)
    unseen = msgspec.structs.replace(seen, status=msgspec.structs.replace(seen.status, observed_generation=1))
    pods = [pod(number) for number in range(4)]  # they look as if they were at the newest revision
    assert foreign.apply(store("redis:8"), unseen, pods) is None
    assert rolled(foreign.apply(store("redis:8"), seen, pods)) == (0, 4)


def test_it_goes_on_pod_by_pod_as_they_become_ready() -> None:
    apply = foreign.apply(store("redis:8"), stored(StatefulSet, foreign.apply(store(), None)), [])
    live = stored(StatefulSet, apply, updateRevision=NEW)
    old = [pod(number) for number in range(4)]
    apply = foreign.apply(store("redis:8"), live, old)
    assert rolled(apply) == (3, 4)
    live = stored(StatefulSet, apply, updateRevision=NEW)
    assert foreign.apply(store("redis:8"), live, [*old[:3], pod(3, NEW, ready=False)]) is None
    assert foreign.apply(store("redis:8"), live, old[:3]) is None
    assert rolled(foreign.apply(store("redis:8"), live, [*old[:3], pod(3, NEW)])) == (2, 4)


def test_the_extra_pods_of_a_rollout_are_not_what_the_role_asks_for() -> None:
    live = stored(StatefulSet, foreign.apply(store(), None), updateRevision=OLD)
    sent = body(foreign.apply(store("redis:8", rolloutStrategy=surge()), live))
    assert sent["spec"]["replicas"] == 5
    assert sent["metadata"]["annotations"][labels.ROLE_SIZE] == "4"


@pytest.mark.parametrize("changed", [{"labels": {"team": "search"}}, {"minReadySeconds": 3}], ids=["label", "seconds"])
def test_what_leaves_the_template_alone_starts_no_rollout(changed: dict[str, Any]) -> None:
    live = stored(StatefulSet, foreign.apply(store(rolloutStrategy=surge()), None), updateRevision=OLD)
    apply = foreign.apply(store(rolloutStrategy=surge(), **changed), live, [pod(number) for number in range(4)])
    assert rolled(apply) == (0, 4)
    again = stored(StatefulSet, apply, updateRevision=OLD)
    assert foreign.apply(store(rolloutStrategy=surge(), **changed), again) is None


def test_a_field_of_the_template_that_goes_away_is_rolled_out_too() -> None:
    pattern = {"template": template({"name": "redis", "image": "redis:7", "command": ["serve"]})}
    live = stored(StatefulSet, foreign.apply(store(standalonePattern=pattern), None), updateRevision=OLD)
    assert rolled(foreign.apply(store(), live)) == (4, 4)


def test_a_scale_is_applied_at_once() -> None:
    live = stored(StatefulSet, foreign.apply(store(), None), updateRevision=OLD)
    pods = [pod(number) for number in range(4)]
    apply = foreign.apply(replace(store(), replicas=6), live, pods)
    assert rolled(apply) == (0, 6)
    assert body(apply)["metadata"]["annotations"][labels.ROLE_SIZE] == "6"


def test_pods_are_told_apart_by_ordinal_readiness_and_revision() -> None:
    live = stored(StatefulSet, foreign.apply(store(), None), updateRevision=NEW)
    pods = [pod(0), pod(1, NEW, deleting=True), pod(3, NEW, ready=False), pod(4, NEW)]
    assert ordinals(live, pods) == (
        Ordinal(ready=True, updated=False),
        MISSING,
        MISSING,
        Ordinal(ready=False, updated=True),
        Ordinal(ready=True, updated=True),
    )
    assert ordinals(live, ()) == ()
