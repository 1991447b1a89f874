from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import labels, roles
from rbgctrl.api.groups import RestartPolicyType, RoleBasedGroupSpec, RoleSpec, SharedServiceSelection

_POD = {"spec": {"containers": [{"name": "c"}]}}
_SETS = labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET


def _role(kind: str = "", **fields: Any) -> RoleSpec:
    annotations = {labels.ROLE_WORKLOAD_TYPE: kind} if kind else {}
    return RoleSpec.model_validate({"name": "a", "annotations": annotations, **fields})


@pytest.mark.parametrize(
    ("kind", "pattern", "stateful"),
    [
        ("", "", True),
        ("", "Stateful", True),
        ("", "Stateless", False),
        ("", "Sometimes", True),
        (_SETS, "Stateless", False),
        (labels.WORKLOAD_TYPE_DEPLOYMENT, "", False),
        (labels.WORKLOAD_TYPE_STATEFUL_SET, "Stateless", True),
        (labels.WORKLOAD_TYPE_LEADER_WORKER_SET, "", True),
        ("batch/v1/Job", "", True),
    ],
)
def test_which_roles_have_ordinals(kind: str, pattern: str, stateful: bool) -> None:
    annotations = {labels.ROLE_WORKLOAD_TYPE: kind, labels.INSTANCE_PATTERN: pattern}
    role = RoleSpec.model_validate({"name": "a", "annotations": annotations})
    assert roles.is_stateful(role) is stateful
    assert roles.workload_type(role) == (kind or _SETS)


def test_the_first_pattern_in_order_counts() -> None:
    standalone, leader = {"template": _POD}, {"template": _POD}
    custom: dict[str, Any] = {"components": []}
    assert roles.pattern(_role()) is None
    assert roles.role_type(_role()) == labels.ROLE_TYPE_COMPONENTS
    role = _role(standalonePattern=standalone, customComponentsPattern=custom)
    assert roles.pattern(role) is roles.Pattern.STANDALONE
    assert roles.role_type(role) == labels.ROLE_TYPE_POD_TEMPLATE
    role = _role(leaderWorkerPattern=leader, customComponentsPattern=custom)
    assert roles.pattern(role) is roles.Pattern.LEADER_WORKER
    assert roles.role_type(role) == labels.ROLE_TYPE_LEADER_WORKER_SET
    role = _role(customComponentsPattern=custom)
    assert roles.pattern(role) is roles.Pattern.CUSTOM
    assert roles.role_type(role) == labels.ROLE_TYPE_COMPONENTS


@pytest.mark.parametrize("pattern", ["leaderWorkerPattern", "customComponentsPattern"])
def test_the_restart_policy_is_the_config_then_the_old_string_then_recreate(pattern: str) -> None:
    def policy(**fields: Any) -> roles.RestartPolicy:
        return roles.restart_policy(RoleSpec.model_validate({"name": "a", pattern: fields}))

    none, recreate = RestartPolicyType.NONE, RestartPolicyType.RECREATE_INSTANCE
    assert policy() == roles.RestartPolicy(type=recreate)
    assert policy(restartPolicy="None").type is none
    both = policy(restartPolicy="None", restartPolicyConfig={"type": recreate, "baseDelaySeconds": 5})
    assert both == roles.RestartPolicy(type=recreate, base_delay_seconds=5)
    delays = policy(restartPolicy="None", restartPolicyConfig={"maxDelaySeconds": 60})
    assert delays == roles.RestartPolicy(type=none, max_delay_seconds=60)


def test_a_standalone_role_never_restarts_its_instance() -> None:
    custom = {"restartPolicyConfig": {"type": "RecreateRoleInstanceOnPodRestart"}}
    role = _role(standalonePattern={"template": _POD}, customComponentsPattern=custom)
    assert roles.restart_policy(role) == roles.RestartPolicy(type=RestartPolicyType.NONE)


def test_leaders_alone_are_selected_only_in_leader_worker_sets_of_ours() -> None:
    everyone, leaders = SharedServiceSelection.ALL, SharedServiceSelection.LEADER_ONLY
    assert roles.shared_service_selection(_role(standalonePattern={})) is everyone
    assert roles.shared_service_selection(_role(leaderWorkerPattern={})) is leaders
    assert roles.shared_service_selection(_role(leaderWorkerPattern={"sharedServiceSelection": "All"})) is everyone
    assert roles.shared_service_selection(_role("apps/v1/StatefulSet", leaderWorkerPattern={})) is everyone


def test_a_role_without_a_rolling_update_replaces_one_instance_at_a_time_in_place() -> None:
    strategies: tuple[Any, ...] = (None, {}, {"rollingUpdate": {}})
    for strategy in strategies:
        assert roles.rolling_update(_role(rolloutStrategy=strategy)) == roles.Rollout(
            type="InPlaceIfPossible", partition=0, max_unavailable=1, max_surge=0, paused=False
        )


def test_what_a_rolling_update_says_counts() -> None:
    update = {
        "type": "RecreatePod",
        "partition": "50%",
        "maxUnavailable": 2,
        "maxSurge": 3,
        "paused": True,
        "inPlaceUpdateStrategy": {},
    }
    assert roles.rolling_update(_role(rolloutStrategy={"rollingUpdate": update})) == roles.Rollout(
        type="RecreatePod", partition="50%", max_unavailable=2, max_surge=3, paused=True, grace_period_seconds=0
    )


def test_the_size_of_a_group_counts_pods_but_not_custom_components() -> None:
    spec = RoleBasedGroupSpec.model_validate(
        {
            "roles": [
                {"name": "a", "replicas": 3, "standalonePattern": {}},
                {"name": "b", "replicas": 2, "leaderWorkerPattern": {"size": 4}},
                {
                    "name": "c",
                    "replicas": 5,
                    "customComponentsPattern": {"components": [{"name": "x", "size": 9, "template": {}}]},
                },
            ]
        }
    )
    assert roles.group_size(spec) == 3 + 8 + 5


def test_the_template_reference_is_that_of_the_pattern_in_use() -> None:
    reference = {"templateRef": {"name": "t", "patch": {}}}
    found = roles.template_ref(_role(leaderWorkerPattern=reference))
    assert found is not None
    assert found.name == "t"
    assert roles.template_ref(_role(standalonePattern={"template": _POD})) is None
    assert roles.template_ref(_role()) is None
