"""A group under the whole daemon on the embedded cluster: everything it promises on the real control plane, and more.

The scenarios of ``tests/e2e/test_group.py`` are run as they are, in virtual time.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

import pytest

from e2e import test_group as scenarios
from e2e.support.groups import V1ALPHA2, become_ready, group, role
from hack.controlplane.waiting import eventually
from rbgctrl.client import ForbiddenError
from rbgctrl.client.transport import ApiRequest, Transport, Verb
from rbgctrl.client.wrappers import Intercept
from rbgctrl.sim import virtual
from sim.support import world

Scenario = Callable[..., Awaitable[None]]

ALL = {name: found for name, found in vars(scenarios).items() if name.startswith("test_")}
SHARED: list[Scenario] = [
    found for found in ALL.values() if list(inspect.signature(found).parameters) == ["api", "namespace"]
]
# What asks the real cluster for more than an API is told again below.
RETOLD = (
    "test_a_settled_group_costs_no_request",
    "test_a_quota_that_refuses_pods_is_a_condition_that_clears_when_there_is_room",
)


def _promise(scenario: Scenario) -> str:
    return scenario.__name__.removeprefix("test_")


@pytest.mark.parametrize("scenario", [one for one in SHARED if one.__name__ not in RETOLD], ids=_promise)
@virtual
async def test_what_holds_on_the_real_cluster_holds_here(scenario: Scenario) -> None:
    async with world() as w:
        await scenario(w.api, w.namespace)


def test_no_scenario_of_a_group_is_left_out() -> None:
    told = {one.__name__ for one in SHARED} | set(RETOLD)
    assert told == set(ALL)
    assert set(RETOLD) <= set(globals())


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
