"""The end-to-end scenarios as they are, on the embedded cluster, in virtual time.

Whatever of ``tests/e2e`` asks for nothing but an API and a namespace is run here. The rest is told again in a file of
this folder, or has a reason here.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Final

import pytest

from e2e import (
    test_adapters,
    test_group,
    test_groupset,
    test_instances,
    test_roles,
    test_sets,
    test_warmup,
    test_workloads,
)
from rbgctrl.sim import virtual
from sim.support import world

Scenario = Callable[..., Awaitable[None]]

MODULES: Final = (
    test_adapters,
    test_group,
    test_groupset,
    test_instances,
    test_roles,
    test_sets,
    test_warmup,
    test_workloads,
)

RETOLD: Final = {
    "test_adapters.test_an_autoscaler_counts_instances_whatever_they_are_made_of": "test_adapters",
    "test_group.test_a_settled_group_costs_no_request": "test_group",
    "test_group.test_a_quota_that_refuses_pods_is_a_condition_that_clears_when_there_is_room": "test_group",
    "test_instances.test_a_quota_that_refuses_pods_is_told_in_the_servers_words_and_heals": "test_instances",
    "test_instances.test_a_pod_on_a_lost_node_says_what_to_do_and_is_replaced_once_that_is_done": "test_instances",
    "test_roles.test_a_quota_that_refuses_an_object_of_the_group_is_said_and_clears_when_there_is_room": "test_group",
    "test_sets.test_a_set_made_by_hand_runs_and_scales_like_anything_with_a_scale_subresource": "test_sets",
    "test_warmup.test_a_quota_that_refuses_pods_is_a_condition_that_clears_when_there_is_room": "test_warmup",
}
"""What needs more of a cluster than its API (quotas, the audit log), and where it is told again by that name."""

REAL_ONLY: Final = {
    "test_adapters.test_a_manifest_that_is_applied_again_without_replicas_leaves_the_workload_as_it_was_scaled": (
        "kubectl"
    ),
    "test_groupset.test_groups_that_upstream_made_are_taken_over_without_a_roll": "recorded objects are put into etcd",
    "test_workloads.test_a_group_of_all_four_kinds_becomes_ready_rolls_and_scales": "the LeaderWorkerSet controller",
    "test_workloads.test_a_settled_group_of_all_four_kinds_costs_no_write": "the same",
    "test_workloads.test_without_the_crd_the_role_says_so_the_rest_runs_and_it_starts_once_the_crd_appears": "the same",
}
"""What only the real cluster has."""


def _named(module: ModuleType, name: str) -> str:
    return f"{module.__name__.rpartition('.')[2]}.{name}"


ALL: Final[dict[str, Scenario]] = {
    _named(module, name): found
    for module in MODULES
    for name, found in vars(module).items()
    if name.startswith("test_")
}
SHARED: Final = {name: found for name, found in ALL.items() if name not in RETOLD and name not in REAL_ONLY}


@pytest.mark.parametrize("name", SHARED)
@virtual
async def test_what_holds_on_the_real_cluster_holds_here(name: str) -> None:
    async with world() as w:
        await SHARED[name](w.api, w.namespace)


def test_no_scenario_is_left_out() -> None:
    assert all(list(inspect.signature(found).parameters) == ["api", "namespace"] for found in SHARED.values())
    assert RETOLD.keys() | REAL_ONLY.keys() <= ALL.keys()
    for name, home in RETOLD.items():
        assert hasattr(importlib.import_module(f"sim.{home}"), name.partition(".")[2]), name
