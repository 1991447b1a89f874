from __future__ import annotations

from typing import Any

import msgspec

from rbgctrl.cli.summary import node_names, summarize, unreadable
from rbgctrl.cli.views import GroupView
from unit.cli import scene
from unit.cli.apiserver import Manifest
from unit.cli.scene import GROUPS, INSTANCES, PODS, SETS, graph, nodes


def _summary(found: dict[str, list[Manifest]] | None = None, **more: Any) -> GroupView:
    return summarize(graph(found), nodes(found), **more)


def test_the_view_goes_from_the_group_down_to_the_nodes() -> None:
    view = _summary()
    router, prefill, decode = view.roles
    assert (view.name, view.namespace, view.ready, view.reason) == ("llm", "ml", False, "RoleNotReady")
    assert (router.pattern, prefill.pattern, decode.pattern) == ("Standalone", "LeaderWorker", "CustomComponents")
    assert [role.ready for role in view.roles] == [True, False, False]
    assert router.instances is not None
    (instance,) = router.instances
    (pod,) = instance.pods
    assert (instance.ready, instance.role_id) == (True, "llm.router.0")
    assert (pod.ready, pod.restarts, pod.containers_ready, pod.containers) == (True, 2, 1, 1)
    assert pod.node is not None
    assert (pod.node.name, pod.node.ready) == ("node-0", True)
    assert (pod.node.nvlink_domain, pod.node.zone) == ("fabric.0", "zone-a")


def test_a_role_counts_the_pods_of_all_its_instances() -> None:
    assert [role.pods for role in _summary().roles] == [1, 4, 3]


def test_a_role_that_has_not_begun_names_what_it_waits_for() -> None:
    assert [role.waits_for for role in _summary().roles] == [(), (), ("prefill",)]


def test_a_role_that_has_begun_waits_for_nothing_whatever_became_of_its_dependencies() -> None:
    found = scene.scene()
    found[SETS][0]["status"]["readyReplicas"] = 0
    assert _summary(found).roles[1].waits_for == ()


def test_pods_that_do_not_exist_yet_are_counted_by_component() -> None:
    prefill = _summary().roles[1]
    assert prefill.instances is not None
    assert [(item.component, item.pods) for item in prefill.instances[1].missing] == [("worker", 1)]
    assert prefill.instances[0].missing == ()


def test_a_pod_that_cannot_be_scheduled_says_so_before_it_says_that_it_is_not_ready() -> None:
    prefill = _summary().roles[1]
    assert prefill.instances is not None
    (pod,) = prefill.instances[1].pods
    assert (pod.reason, pod.node, pod.ip) == ("Unschedulable", None, None)
    assert "Insufficient" in pod.message


def test_the_verdict_on_a_whole_pod_comes_before_its_conditions() -> None:
    found = scene.scene()
    found[PODS][0]["status"] |= {"reason": "Evicted", "message": "The node was low on memory.", "conditions": []}
    router = _summary(found).roles[0]
    assert router.instances is not None
    assert router.instances[0].pods[0].reason == "Evicted"


def test_a_ready_condition_of_an_older_generation_does_not_count() -> None:
    found = scene.scene()
    found[GROUPS] = [scene.group(ready=True, generation=2, observed=1)]
    assert not _summary(found).ready
    found[GROUPS] = [scene.group(ready=True, generation=2, observed=2)]
    assert _summary(found).ready


def test_a_group_nobody_has_reported_on_is_not_ready() -> None:
    found = scene.scene()
    del found[GROUPS][0]["status"]
    view = _summary(found)
    assert (view.ready, view.reason, view.message) == (False, "", "")


def test_an_instance_that_is_being_recreated_says_so() -> None:
    found = scene.scene()
    status = found[INSTANCES][2]["status"]
    status["conditions"].append(scene.condition("Restarting", reason="RestartPolicyTriggered", message="a pod failed"))
    status["restartCount"] = 3
    prefill = _summary(found).roles[1]
    assert prefill.instances is not None
    assert (prefill.instances[1].reason, prefill.instances[1].restarts) == ("RestartPolicyTriggered", 3)


def test_a_node_that_could_not_be_read_is_known_by_name_only() -> None:
    view = summarize(graph(), {})
    assert view.roles[0].instances is not None
    found = view.roles[0].instances[0].pods[0].node
    assert found is not None
    assert (found.name, found.ready, found.nvlink_domain, found.zone) == ("node-0", None, None, None)


def test_a_role_of_another_kind_has_the_counts_and_the_pods_of_its_workload() -> None:
    web = _summary(scene.with_deployment()).roles[-1]
    assert (web.workload, web.instances) == ("Deployment", ())
    assert (web.replicas, web.current_replicas, web.ready_replicas, web.updated_replicas) == (2, 2, 1, 2)
    assert web.workload_pods is not None
    assert [(pod.name, pod.ready, pod.node and pod.node.zone) for pod in web.workload_pods] == [
        ("llm-web-5d-a", True, "zone-b"),
        ("llm-web-5d-b", False, "zone-b"),
    ]


def test_pods_of_workloads_of_other_kinds_count_for_the_nodes_to_be_read() -> None:
    found = scene.with_deployment()
    found[PODS][-1]["spec"]["nodeName"] = "node-7"
    assert "node-7" in node_names([graph(found)])


def test_a_role_that_waits_for_one_of_another_kind_says_so_until_enough_of_it_is_ready() -> None:
    found = scene.with_deployment()
    found[GROUPS][0]["spec"]["roles"][2]["dependencies"] = ["web"]
    assert _summary(found).roles[2].waits_for == ("web",)
    found[scene.DEPLOYMENTS][0]["status"]["readyReplicas"] = 2
    assert _summary(found).roles[2].waits_for == ()


def test_a_bound_adapter_of_the_group_decides_about_replicas_and_no_other_does() -> None:
    found = scene.scene()
    found[GROUPS][0]["spec"]["roles"][1]["scalingAdapter"] = {"enable": True}
    found[scene.ADAPTERS] = [scene.adapter("prefill", 4)]
    prefill = _summary(found).roles[1]
    assert (prefill.replicas, prefill.pods) == (4, 8)
    assert prefill.adapter is not None
    assert (prefill.adapter.name, prefill.adapter.phase, prefill.adapter.decides) == ("llm-prefill", "Bound", True)
    found[scene.ADAPTERS][0]["metadata"]["ownerReferences"] = []
    prefill = _summary(found).roles[1]
    assert prefill.adapter is not None
    assert (prefill.replicas, prefill.adapter.replicas, prefill.adapter.decides) == (2, 4, False)


def test_where_a_workload_cannot_be_read_the_status_of_the_group_tells_its_counts() -> None:
    found = scene.scene()
    found[SETS] = []
    found[GROUPS][0]["status"]["roleStatuses"] = [{"name": "router", "replicas": 1, "readyReplicas": 1}]
    router, prefill, _ = _summary(found).roles
    assert (router.ready, router.current_replicas) == (True, 1)
    assert (prefill.ready, prefill.current_replicas) == (False, 0)


def test_a_name_taken_by_somebody_else_is_a_problem_of_the_role() -> None:
    found = scene.scene()
    found[SETS][0]["metadata"]["ownerReferences"] = []
    assert "somebody else" in _summary(found).roles[0].problem


def test_workloads_of_roles_that_are_no_longer_asked_for_are_named() -> None:
    found = scene.scene()
    found[SETS].append(scene.instance_set("old", 1, 1))
    assert _summary(found).leaving == ("llm-old",)


def test_a_shallow_view_has_no_instances() -> None:
    assert [role.instances for role in _summary(deep=False).roles] == [None, None, None]


def test_only_nodes_that_carry_pods_are_asked_for() -> None:
    assert node_names([graph()]) == {"node-0", "node-1"}


def test_the_json_has_every_key_in_camel_case_whether_known_or_not() -> None:
    data = msgspec.to_builtins(_summary())
    assert set(data) == {
        *("name", "namespace", "uid", "generation", "ready", "reason", "message", "deleting", "roles"),
        *("leaving", "notes"),
    }
    assert set(data["roles"][0]) == {
        *("name", "pattern", "workload", "dependencies", "waitsFor", "replaces", "problem", "adapter", "replicas"),
        *("currentReplicas", "readyReplicas", "updatedReplicas", "pods", "ready", "instances", "workloadPods"),
    }
    instance = data["roles"][1]["instances"][1]
    assert set(instance) == {
        *("name", "roleId", "ready", "reason", "message", "restarts", "deleting", "missing", "pods"),
    }
    assert set(instance["pods"][0]) == {
        *("name", "roleId", "component", "index", "phase", "ready", "reason", "message", "containersReady"),
        *("containers", "restarts", "ip", "deleting", "node"),
    }
    assert set(data["roles"][0]["instances"][0]["pods"][0]["node"]) == {"name", "ready", "nvlinkDomain", "zone"}


def test_a_stored_group_that_does_not_decode_is_shown_with_what_is_wrong() -> None:
    view = unreadable("odd", "ml", "uid", "spec.roles.0.replicas: must be a number")
    assert not view.ready
    assert view.reason == "Unreadable"
    assert "spec.roles.0.replicas" in view.message
