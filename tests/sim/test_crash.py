"""A daemon may die at any write, wake up with an old view, or miss an event: what a user asked for comes about all the
same, and nothing that serves is touched."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import pytest

from rbgctrl import Controller, Manager, Request, Result, handlers
from rbgctrl.api.core import ConfigMap
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.sim.crash import Cases, Run, Scenario, crashes, explore, lost_events, sampled, stale_restarts
from rbgctrl.sim.world import World, WorldOptions
from sim.groups import group, role

Record = Callable[[str, object], None]

PODS = [f"llm-{name}-{ordinal}" for name in ("decode", "prefill") for ordinal in range(4)]


async def bring_up(world: World) -> None:
    await world.apply(group("llm", role("prefill", 4), role("decode", 4, "prefill")))
    await world.until(lambda: world.is_ready("llm"))


async def scale(world: World) -> None:
    await world.apply(group("llm", role("prefill", 1), role("decode", 2, "prefill")))
    await world.until(lambda: world.is_ready("llm"))
    await world.apply(group("llm", role("prefill", 2), role("decode", 1, "prefill")))
    await world.until(lambda: world.is_ready("llm") and len(world.names("pods")) == 3)


async def remove_a_role(world: World) -> None:
    await world.apply(group("llm", role("prefill", 1), role("decode", 2, "prefill")))
    await world.until(lambda: world.is_ready("llm"))
    await world.apply(group("llm", role("prefill", 1)))
    await world.until(lambda: world.is_ready("llm") and world.names("pods") == ["llm-prefill-0"])


async def delete_and_recreate(world: World) -> None:
    await world.apply(group("llm", role("prefill", 1), role("decode", 1, "prefill")))
    await world.until(lambda: world.is_ready("llm"))
    await world.delete("llm")
    await world.until(lambda: not world.names("pods"))
    await world.apply(group("llm", role("decode", 2)))
    await world.until(lambda: world.is_ready("llm"))


async def lose_a_pod(world: World) -> None:
    await world.apply(group("llm", role("decode", 2)))
    await world.until(lambda: world.is_ready("llm"))
    world.cluster.end_pod("llm-decode-1", "Failed")
    await world.until(lambda: not world.is_ready("llm"))
    await world.until(lambda: world.is_ready("llm"))


async def one_careless(world: World) -> None:
    await world.apply(group("llm", role("decode", 1)))
    await world.until(lambda: bool(world.names("configmaps")))


def careless(manager: Manager, suffix: int) -> Controller:
    """Makes a ConfigMap for each group it has not made one for since it started."""
    made: set[Request] = set()

    class Careless:
        async def reconcile(self, request: Request) -> Result:
            if request not in made:
                body = {"metadata": {"name": f"{request.name}-{suffix}"}}
                await manager.client.create(ConfigMap, body, request.namespace)
                made.add(request)
            return Result()

    controller = Controller("careless", Careless(), options=manager.controller_options())
    controller.watch(manager.informer(RoleBasedGroup), handlers.itself)
    return controller


def _has(*pods: str) -> Callable[[World], bool]:
    return lambda world: world.is_ready("llm") and world.names("pods") == sorted(pods)


EIGHT = Scenario(
    name="8 pods", drive=bring_up, wanted=lambda world: world.is_ready("llm") and world.names("pods") == PODS
)
LIVES = (
    Scenario(name="scale", drive=scale, wanted=_has("llm-decode-0", "llm-prefill-0", "llm-prefill-1")),
    Scenario(name="remove a role", drive=remove_a_role, wanted=_has("llm-prefill-0")),
    Scenario(name="recreate", drive=delete_and_recreate, wanted=_has("llm-decode-0", "llm-decode-1")),
    Scenario(name="lose a pod", drive=lose_a_pod, wanted=_has("llm-decode-0", "llm-decode-1")),
)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("scenario", [EIGHT, *LIVES], ids=lambda scenario: scenario.name)
def test_a_crash_at_every_write_on_either_side_of_its_commit_changes_nothing_in_the_end(
    scenario: Scenario, record_property: Record
) -> None:
    _explore(record_property, scenario, crashes)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("scenario", [EIGHT, *LIVES], ids=lambda scenario: scenario.name)
def test_a_daemon_that_wakes_up_in_the_past_destroys_nothing(scenario: Scenario, record_property: Record) -> None:
    # Three moments to wake up in for each write are more than there is time for.
    _explore(record_property, scenario, sampled(stale_restarts, 4 if scenario is EIGHT else 2))


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("scenario", [EIGHT, *LIVES], ids=lambda scenario: scenario.name)
def test_every_single_event_may_get_lost(scenario: Scenario, record_property: Record) -> None:
    _explore(record_property, scenario, sampled(lost_events, 3) if scenario is EIGHT else lost_events)


def _explore(record_property: Record, scenario: Scenario, cases: Cases) -> None:
    report = explore(scenario, cases)
    record_property("matrix", f"{cases.__name__} of {report}")
    report.check()


# The matrix itself ----------------------------------------------------------------------------------------------------


def test_a_sample_is_every_so_manieth_case() -> None:
    calm = Run(writes=("a", "b"), created=Counter(), deleted=Counter(), events=7, state={})
    assert [case.lost for case in sampled(lost_events, 3)(calm)] == [1, 4, 7]
    assert list(sampled(crashes, 1)(calm)) == list(crashes(calm))


@pytest.mark.usefixtures("quiet")
def test_a_controller_that_forgets_what_it_made_is_found_out() -> None:
    """A matrix that cannot fail would prove nothing: here names are drawn anew after each start."""
    starts = itertools.count()

    def build(manager: Manager) -> None:
        manager.add(careless(manager, suffix=next(starts)))

    scenario = Scenario(
        name="careless",
        drive=one_careless,
        wanted=lambda world: bool(world.names("configmaps")),
        options=WorldOptions(build=build),
    )
    report = explore(scenario, crashes)
    assert report.failures
    with pytest.raises(AssertionError, match=r"(?s)careless: 1 writes.*crash after write 1"):
        report.check()
