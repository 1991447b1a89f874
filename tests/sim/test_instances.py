"""RoleInstances made by a user, under the whole daemon on the embedded cluster: what they promise, and bad days.

The scenarios of ``tests/e2e/test_instances.py`` are run as they are, in virtual time.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.support.groups import V1ALPHA2, pods
from e2e.support.instances import component, instance, instance_condition, instance_ready, instance_says, instance_set
from hack.controlplane.waiting import eventually
from rbgctrl.api import labels
from rbgctrl.client import ForbiddenError
from rbgctrl.client.transport import ApiRequest, Transport, Verb
from rbgctrl.client.wrappers import Intercept
from rbgctrl.plan.ports import PortRange
from rbgctrl.reconcilers import ReconcilerOptions
from rbgctrl.sim import ClusterOptions, virtual
from rbgctrl.sim.nodes import node
from sim.support import world
from sim.support.world import NAMESPACE, World

IMPATIENT = [
    {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
    for taint in ("not-ready", "unreachable")
]


# At rest --------------------------------------------------------------------------------------------------------------


@virtual
async def test_ten_idle_minutes_cost_no_request() -> None:
    async with world() as w:
        await w.api.create(
            instance("mine", w.namespace, component("leader"), component("worker", 3, after=("leader",)))
        )
        await instance_ready(w.api, "mine", w.namespace)
        await w.settle()
        before = w.writes()
        await w.sleep(600)
        assert w.writes() == before


@virtual
async def test_a_flip_of_one_pod_with_ready_policy_none_writes_two_statuses() -> None:
    async with world() as w:
        made = instance("mine", w.namespace, component(size=4))
        made["spec"]["readyPolicy"] = "None"
        await w.api.create(made)
        await instance_ready(w.api, "mine", w.namespace)
        await w.settle()
        before = w.writes()
        w.cluster.set_ready(f"{w.namespace}/mine-main-1", ready=False)
        await instance_says(w.api, "mine", w.namespace, "mine-main-1")
        await w.settle()
        assert w.writes() - before == {("patch", "RoleInstance"): 1}


@virtual
async def test_a_flip_of_one_pod_closes_each_gate_once_and_opens_each_once() -> None:
    async with world() as w:
        await w.api.create(instance("mine", w.namespace, component(size=4)))
        await instance_ready(w.api, "mine", w.namespace)
        await w.settle()
        before = w.writes()
        w.cluster.set_ready(f"{w.namespace}/mine-main-1", ready=False)
        await instance_says(w.api, "mine", w.namespace, "mine-main-1")
        await w.settle()
        down = w.writes() - before
        assert down["patch", "Pod"] == 4, "every pod leaves, each with one patch"
        w.cluster.set_ready(f"{w.namespace}/mine-main-1", ready=True)
        await instance_ready(w.api, "mine", w.namespace)
        await w.settle()
        assert (w.writes() - before)["patch", "Pod"] == 8


# Pods and quota -------------------------------------------------------------------------------------------------------


@virtual
async def test_a_quota_that_refuses_pods_is_told_in_the_servers_words_and_heals() -> None:
    full = True

    def refuse(request: ApiRequest) -> None:
        if full and request.verb is Verb.CREATE and request.kind is not None and request.kind.kind == "Pod":
            raise ForbiddenError(403, "Forbidden", 'pods "many-main-0" is forbidden: exceeded quota: tight')

    def wrap(inner: Transport) -> Transport:
        return Intercept(inner, before=refuse)

    async with world(wrap=wrap) as w:
        await w.api.create(instance("many", w.namespace))
        await instance_says(w.api, "many", w.namespace, "exceeded quota: tight", "FailedScale")
        full = False
        await instance_ready(w.api, "many", w.namespace, 600)
        assert await instance_condition(w.api, "many", w.namespace, "FailedScale") is None


@virtual
async def test_pods_that_fit_nowhere_say_so_until_there_is_room() -> None:
    async with world(ClusterOptions(nodes=1)) as w:
        await w.api.create(instance("mine", w.namespace, component(nodeSelector={"gpu": "yes"})))
        said = await instance_says(w.api, "mine", w.namespace, "mine-main-0 (not scheduled: 0/1 nodes are available")
        assert "match" in said
        w.cluster.add_nodes(node("roomy", labels={"gpu": "yes"}))
        await instance_ready(w.api, "mine", w.namespace)


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
@virtual
async def test_a_pod_that_ends_is_replaced_and_its_sibling_stays(phase: str) -> None:
    async with world() as w:
        await w.api.create(instance("mine", w.namespace, component(size=2)))
        await instance_ready(w.api, "mine", w.namespace)
        before = await pods(w.api, w.namespace)
        w.cluster.end_pod(f"{w.namespace}/mine-main-0", phase)
        await w.settle()
        await instance_ready(w.api, "mine", w.namespace)
        after = await pods(w.api, w.namespace)
        changed = {name for name, pod in after.items() if pod["metadata"]["uid"] != before[name]["metadata"]["uid"]}
        assert changed == {"mine-main-0"}


@virtual
async def test_a_pod_whose_name_another_owner_holds_is_made_the_moment_it_is_free() -> None:
    async with world() as w:
        holder = await w.api.create(_config_map(w))
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "holder", "uid": holder["metadata"]["uid"]}
        await w.api.create(_pod(w, "mine-main-0", ownerReferences=[{**reference, "controller": True}]))
        await w.api.create(instance("mine", w.namespace))
        said = await instance_says(w.api, "mine", w.namespace, "mine-main-0", "FailedScale")
        assert "ConfigMap holder" in said
        requests = w.requests()
        await w.sleep(600)
        assert w.requests() - requests < 100, "nobody keeps trying"
        await w.api.delete("v1", "Pod", "mine-main-0", w.namespace, grace=0)
        await instance_ready(w.api, "mine", w.namespace, 20)
        assert await instance_condition(w.api, "mine", w.namespace, "FailedScale") is None


def _config_map(w: World) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "holder", "namespace": w.namespace}}


def _pod(w: World, name: str, **metadata: Any) -> dict[str, Any]:
    own = {"name": name, "namespace": w.namespace, "labels": {labels.ROLE_INSTANCE_NAME: "other"}, **metadata}
    container = {"name": "main", "image": "registry.example/other:1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": own, "spec": {"containers": [container]}}


# Nodes ----------------------------------------------------------------------------------------------------------------


@virtual
async def test_a_pod_on_a_lost_node_says_what_to_do_and_is_replaced_once_that_is_done() -> None:
    async with world() as w:
        await w.api.create(instance("lost", w.namespace, component(tolerations=IMPATIENT)))
        await instance_ready(w.api, "lost", w.namespace)
        where = (await pods(w.api, w.namespace))["lost-main-0"]["spec"]["nodeName"]
        w.cluster.kill_node(where)
        told = f"lost-main-0 (terminating on node {where}, which is not ready; if it is down for good, delete the Node"
        await instance_says(w.api, "lost", w.namespace, told, within=300)
        await w.sleep(600)
        assert await pods(w.api, w.namespace) == {}, "it may still run, so there is no second one"
        w.cluster.remove_node(where)
        gone = f"terminating on node {where}, which does not exist any more; pod garbage collection removes it"
        await instance_says(w.api, "lost", w.namespace, gone, within=10)
        await instance_ready(w.api, "lost", w.namespace, 120)
        assert (await pods(w.api, w.namespace))["lost-main-0"]["spec"]["nodeName"] != where


@virtual
async def test_a_node_that_comes_back_frees_its_pod_without_anybody() -> None:
    async with world() as w:
        await w.api.create(instance("lost", w.namespace, component(tolerations=IMPATIENT)))
        await instance_ready(w.api, "lost", w.namespace)
        where = (await pods(w.api, w.namespace))["lost-main-0"]["spec"]["nodeName"]
        w.cluster.kill_node(where)
        await instance_says(w.api, "lost", w.namespace, "which is not ready", within=300)
        w.cluster.revive_node(where)
        await instance_ready(w.api, "lost", w.namespace, 120)


@virtual
async def test_an_instance_that_must_return_to_a_node_that_is_gone_goes_elsewhere() -> None:
    async with world() as w:
        asked = {"INPLACE_SCHEDULING": "Required"}
        await w.api.create(instance_set("home", w.namespace, component(tolerations=IMPATIENT), **asked))
        await instance_ready(w.api, "home-0", w.namespace)
        await w.settle()
        where = (await pods(w.api, w.namespace))["home-0-main-0"]["spec"]["nodeName"]
        w.cluster.cordon(where)
        await w.api.delete("v1", "Pod", "home-0-main-0", w.namespace)
        await instance_says(w.api, "home-0", w.namespace, "home-0-main-0 (not scheduled", within=60)
        w.cluster.remove_node(where)
        await instance_ready(w.api, "home-0", w.namespace, 120)
        assert (await pods(w.api, w.namespace))["home-0-main-0"]["spec"]["nodeName"] != where


# Ports ----------------------------------------------------------------------------------------------------------------


def _asking(size: int) -> dict[str, Any]:
    made = component(size=size)
    wanted = {"allocations": [{"name": "http", "env": "PORT"}]}
    made["annotations"] = {labels.PORT_ALLOCATOR: json.dumps(wanted)}
    return made


def _port(pod: dict[str, Any]) -> int:
    return next(int(item["value"]) for item in pod["spec"]["containers"][0]["env"] if item["name"] == "PORT")


@virtual
async def test_instances_that_start_together_share_out_the_last_port_and_whoever_is_left_gets_the_next_one_free() -> (
    None
):
    told = ReconcilerOptions(ports=PortRange(30000, 20))
    async with world(told=told) as w:
        for number in range(10):
            await w.api.create(instance(f"i{number}", w.namespace, _asking(2)))
        for number in range(10):
            await instance_ready(w.api, f"i{number}", w.namespace)
        given = sorted(_port(pod) for pod in (await pods(w.api, w.namespace)).values())
        assert given == list(range(30000, 30020)), "each port once"
        await w.api.create(instance("late", w.namespace, _asking(1)))
        await instance_says(w.api, "late", w.namespace, "no port of 30000 to 30019 is free", "FailedScale")
        free = {_port(pod) for name, pod in (await pods(w.api, w.namespace)).items() if name.startswith("i3-")}
        await w.api.delete(V1ALPHA2, "RoleInstance", "i3", w.namespace)
        await instance_ready(w.api, "late", w.namespace, 120)
        assert _port((await pods(w.api, w.namespace))["late-main-0"]) in free
        assert await instance_condition(w.api, "late", w.namespace, "FailedScale") is None


@virtual
async def test_a_port_of_the_set_reaches_instances_that_wait_for_it() -> None:
    told = ReconcilerOptions(ports=PortRange(30000, 20))
    shared = component()
    wanted = {"allocations": [{"name": "rdv", "env": "PORT", "scope": "RoleScoped"}]}
    shared["template"]["metadata"]["annotations"] = {labels.PORT_ALLOCATOR: json.dumps(wanted)}
    async with world(told=told) as w:
        await w.api.create(instance_set("home", w.namespace, shared))
        await instance_says(w.api, "home-0", w.namespace, "no annotation main.rdv", "InvalidComponents")
        port = {"metadata": {"annotations": {"main.rdv": "31000"}}}
        await w.api.merge(V1ALPHA2, "RoleInstanceSet", "home", port, namespace=w.namespace)
        await instance_ready(w.api, "home-0", w.namespace, 20)
        assert _port((await pods(w.api, w.namespace))["home-0-main-0"]) == 31000


# Faults ---------------------------------------------------------------------------------------------------------------


@virtual
async def test_what_a_component_cannot_have_is_one_event_and_nobody_keeps_trying() -> None:
    async with world() as w:
        await w.api.create(instance("odd", w.namespace, component("leader"), component("worker", after=("lead",))))
        await instance_says(w.api, "odd", w.namespace, "worker starts after lead", "InvalidComponents")
        await w.settle()
        requests = w.requests()
        await w.sleep(300)
        assert w.requests() - requests < 40, "watches only"
        found = await w.api.items("v1", "Event", NAMESPACE)
        assert len([item for item in found if item["reason"] == "InvalidComponents"]) == 1
        assert sorted(await pods(w.api, NAMESPACE)) == ["odd-leader-0"]
        mended = instance("odd", NAMESPACE, component("leader"), component("worker", after=("leader",)))
        await w.api.merge(V1ALPHA2, "RoleInstance", "odd", {"spec": mended["spec"]}, namespace=NAMESPACE)
        await instance_ready(w.api, "odd", NAMESPACE)

        async def forgotten() -> bool:
            return await instance_condition(w.api, "odd", NAMESPACE, "InvalidComponents") is None

        await eventually(forgotten, 10, what="the condition is gone")
