"""Roles backed by Deployments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from rbgctrl.api import labels
from rbgctrl.api.workloads import Deployment
from rbgctrl.plan.model import Apply
from rbgctrl.plan.workloads import TemplateError, WorkloadRequest, foreign

from .foreign import GOLDEN, POD_DEFAULTS, STAMPS, body, differences, of_type, recorded, stored
from .requests import decoded, request, template


def web(image: str = "web:1", **more: Any) -> WorkloadRequest:
    pattern = {"template": template({"name": "web", "image": image})}
    return request(
        {"name": "web", "replicas": 2, "annotations": of_type(Deployment), "standalonePattern": pattern, **more}
    )


def test_it_is_the_recorded_one_but_for_what_the_server_fills_in() -> None:
    found = differences(GOLDEN.one("Deployment", "mixed-gateway"), body(foreign.apply(recorded("gateway"), None)))
    filled_in = {"metadata.generation", "spec.progressDeadlineSeconds", "spec.revisionHistoryLimit"}
    assert found == filled_in | POD_DEFAULTS | STAMPS


def test_a_stored_one_costs_no_request_whatever_the_server_filled_in() -> None:
    live = stored(Deployment, foreign.apply(web(), None))
    assert foreign.apply(web(), live) is None


def test_the_one_that_the_reference_controller_made_is_taken_over_once() -> None:
    theirs = GOLDEN.one("Deployment", "mixed-gateway")
    theirs["metadata"] |= {"uid": "uid-w", "resourceVersion": "7"}
    apply = foreign.apply(recorded("gateway"), decoded(Deployment, theirs))
    assert isinstance(apply, Apply)
    assert apply.inherit
    assert (apply.uid, apply.version) == ("uid-w", "7")
    ours = stored(Deployment, apply)
    assert foreign.apply(recorded("gateway"), ours) is None


def test_limits_of_a_rolling_update_are_handed_on_and_without_them_kubernetes_decides() -> None:
    assert "strategy" not in body(foreign.apply(web(), None))["spec"]
    rolled = web(rolloutStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}})
    strategy = body(foreign.apply(rolled, None))["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}}


@pytest.mark.parametrize(
    "changed",
    [
        {"image": "web:2"},
        {"replicas": 3},
        {"labels": {"team": "search"}},
        {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_changes_in_the_role_is_applied_and_then_settled(changed: dict[str, Any]) -> None:
    live = stored(Deployment, foreign.apply(web(), None))
    apply = foreign.apply(web(**changed), live)
    assert apply is not None
    assert (apply.uid, apply.version) == (live.uid, "7")
    assert not apply.inherit
    assert foreign.apply(web(**changed), stored(Deployment, apply)) is None


def test_a_field_that_goes_away_is_noticed_although_the_server_still_has_it() -> None:
    pattern = {"template": template({"name": "web", "image": "web:1", "command": ["serve"]})}
    before = web(standalonePattern=pattern)
    live = stored(Deployment, foreign.apply(before, None))
    same_hash = replace(web(), rendered=replace(web().rendered, hashes=before.rendered.hashes))
    assert foreign.apply(same_hash, live) is not None


def test_an_edit_by_hand_is_undone_and_what_others_add_stays() -> None:
    scaled = stored(Deployment, foreign.apply(replace(web(), replicas=9), None))
    assert foreign.apply(web(), scaled) is not None
    added = body(foreign.apply(web(), None))
    added["metadata"] |= {"uid": "uid-w", "resourceVersion": "7", "generation": 1}
    added["metadata"]["labels"]["cost-centre"] = "42"
    added["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    assert foreign.apply(web(), decoded(Deployment, added)) is None


def test_the_selector_of_an_existing_one_stays_and_its_pods_keep_carrying_it() -> None:
    old = body(foreign.apply(web(), None))
    old["metadata"] |= {"uid": "uid-w", "resourceVersion": "7", "generation": 1}
    old["spec"]["selector"] = {"matchLabels": {"app": "old"}}
    live = decoded(Deployment, old)
    apply = foreign.apply(web(), live)
    sent = body(apply)["spec"]
    assert sent["selector"] == {"matchLabels": {"app": "old"}}
    assert sent["template"]["metadata"]["labels"]["app"] == "old"
    assert sent["template"]["metadata"]["labels"][labels.ROLE_NAME] == "web"
    assert foreign.apply(web(), stored(Deployment, apply)) is None


def test_a_generation_that_changes_nothing_is_no_change() -> None:
    live = stored(Deployment, foreign.apply(web(), None))
    wanted = web()
    metadata = msgspec.structs.replace(wanted.group.metadata, generation=5)
    later = msgspec.structs.replace(wanted.group, metadata=metadata)
    assert foreign.apply(replace(wanted, group=later), live) is None


def test_one_on_its_way_out_is_left_alone() -> None:
    going = body(foreign.apply(web(), None))
    going["metadata"] |= {"uid": "uid-w", "resourceVersion": "7", "deletionTimestamp": "2026-11-22T12:00:00Z"}
    assert foreign.apply(web("web:2"), decoded(Deployment, going)) is None


def test_it_gets_no_service_of_its_own() -> None:
    assert not foreign.has_service(Deployment)


def test_a_role_of_several_kinds_of_pods_cannot_be_one() -> None:
    components = {"components": [{"name": "a", "size": 1, "template": template()}]}
    wanted = request({"name": "web", "annotations": of_type(Deployment), "customComponentsPattern": components})
    with pytest.raises(TemplateError, match="set standalonePattern"):
        foreign.apply(wanted, None)
