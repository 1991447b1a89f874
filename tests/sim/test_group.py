"""A group under the whole daemon on the embedded cluster: everything it promises on the real control plane, and more.

The scenarios of ``tests/e2e/test_group.py`` and ``tests/e2e/test_roles.py`` are run as they are, in virtual time.
"""

from __future__ import annotations

from e2e import test_roles
from e2e.support.groups import V1ALPHA2, become_ready, condition, group, role
from hack.controlplane.waiting import eventually
from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.api.meta import Key
from rbgctrl.client import ForbiddenError, PatchType
from rbgctrl.client.transport import ApiRequest, Transport, Verb
from rbgctrl.client.wrappers import Intercept
from rbgctrl.sim import virtual
from sim.support import world


@virtual
async def test_a_settled_group_costs_no_request() -> None:
    async with world() as w:
        await w.api.create(group("llm", w.namespace, role("prefill", 2), role("decode", 2, "prefill")))
        await become_ready(w.api, "llm", w.namespace)
        await w.settle()
        before = w.writes()
        labelled = {"metadata": {"labels": {"team": "search"}}}
        await w.api.merge(V1ALPHA2, "RoleBasedGroup", "llm", labelled, namespace=w.namespace)
        await w.api.merge("v1", "Pod", "llm-decode-0", labelled, namespace=w.namespace)
        await w.sleep(24 * 3600)
        assert w.writes() == before


@virtual
async def test_a_quota_that_refuses_pods_is_a_condition_that_clears_when_there_is_room() -> None:
    full = True

    def refuse(request: ApiRequest) -> None:
        if full and request.verb is Verb.CREATE and request.kind is not None and request.kind.kind == "Pod":
            raise ForbiddenError(403, "Forbidden", 'pods "llm-decode-0" is forbidden: exceeded quota: tight')

    def wrap(inner: Transport) -> Transport:
        return Intercept(inner, before=refuse)

    async with world(wrap=wrap) as w:
        await w.api.create(group("llm", w.namespace, role("decode", 1)))

        async def refused() -> bool:
            found = await w.api.find(V1ALPHA2, "RoleInstance", "llm-decode-0", w.namespace)
            conditions = (found or {}).get("status", {}).get("conditions", ())
            return any(item["type"] == "FailedScale" and "quota" in item["message"] for item in conditions)

        await eventually(refused, 20, what="the refusal is a condition")
        full = False
        await become_ready(w.api, "llm", w.namespace)
        found = await w.api.get(V1ALPHA2, "RoleInstance", "llm-decode-0", w.namespace)
        assert "FailedScale" not in [item["type"] for item in found["status"]["conditions"]]


@virtual
async def test_a_quota_that_refuses_an_object_of_the_group_is_said_and_clears_when_there_is_room() -> None:
    full = True

    def refuse(request: ApiRequest) -> None:
        if full and request.verb.writes and request.kind is not None and request.kind.kind == "Service":
            raise ForbiddenError(403, "Forbidden", 'services "s-llm-a" is forbidden: exceeded quota: tight')

    def wrap(inner: Transport) -> Transport:
        return Intercept(inner, before=refuse)

    async with world(wrap=wrap) as w:
        await w.api.create(group("llm", w.namespace, role("a")))

        async def refused() -> bool:
            found = await condition(w.api, "llm", w.namespace, "Degraded")
            return found is not None and found["reason"] == "Refused" and "exceeded quota" in found["message"]

        await eventually(refused, 20, what="the refusal is a condition")
        full = False
        await become_ready(w.api, "llm", w.namespace, within=120)
        await w.settle()
        found = await condition(w.api, "llm", w.namespace, "Degraded")
        assert found is not None
        assert found["status"] == "False"


@virtual
async def test_ten_idle_minutes_with_resyncs_of_every_informer_write_nothing_whatever_the_roles_are() -> None:
    stateless = {labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS}
    kinds = (labels.WORKLOAD_TYPE_DEPLOYMENT, labels.WORKLOAD_TYPE_STATEFUL_SET)
    others = [role(f"k{number}", 2, annotations={labels.ROLE_WORKLOAD_TYPE: kind}) for number, kind in enumerate(kinds)]
    roles = (
        role("router", 2),
        test_roles.leader_worker("prefill", 2, 2),
        test_roles.components("store", 1, annotations=stateless),
        role("scaled", 1, scalingAdapter={"enable": True}),
        *others,
    )
    async with world() as w:
        await w.api.create(group("llm", w.namespace, *roles))
        await become_ready(w.api, "llm", w.namespace)
        await w.settle()
        before = w.writes()
        for _ in range(20):
            for informer in w.manager.cache.informers():
                informer.resync()
            await w.sleep(30)
        assert w.writes() == before


@virtual
async def test_the_readiness_flip_of_one_pod_writes_only_what_changes() -> None:
    async with world() as w:
        await w.api.create(group("llm", w.namespace, role("a", 3), test_roles.leader_worker("b", 2, 3)))
        await become_ready(w.api, "llm", w.namespace)
        await w.settle()
        before = w.writes()
        down = {"status": {"conditions": [{"type": "ContainersReady", "status": "False"}]}}
        pod = Key(w.namespace, "llm-a-1")
        await w.client.patch(Pod, pod, down, type=PatchType.STRATEGIC, subresource="status")
        await w.sleep(1)
        # The kubelet soon finds it ready again, so it flips twice. Each time its gates, its instance, the set, the
        # group: what lies on its way and nothing beside it.
        kinds = ("Pod", "RoleInstance", "RoleInstanceSet", "RoleBasedGroup")
        assert w.writes() - before == {("patch", kind): 2 for kind in kinds}
