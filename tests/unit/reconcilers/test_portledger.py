from __future__ import annotations

from typing import Any

from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.plan.ports import PortRange
from rbgctrl.reconcilers.portledger import PortLedger
from unit.plan.instances import component, decide, instance
from unit.plan.world import World

ONE = PortRange(30000, 1)
A, B = Key("ml", "a"), Key("ml", "b")


def _world() -> World:
    world = World()
    asking = component(PORT_ALLOCATOR={"allocations": [{"name": "http", "env": "PORT"}]})
    for name in ("a", "b"):
        world.put(RoleInstance, instance(asking, name=name))
    return world


def test_a_port_that_is_decided_and_not_written_yet_is_given_to_nobody_else() -> None:
    world = _world()
    ledger = PortLedger(world.sources)
    ledger.enter("instance", A, decide(world, "a", ONE, ledger.open("instance", A)))
    assert 30000 in ledger.open("instance", B)
    assert 30000 in ledger.open("group", B), "whoever asks"
    assert "no port of 30000 to 30000 is free" in str(decide(world, "b", ONE, ledger.open("instance", B)).actions)


def test_who_decides_again_is_not_in_its_own_way() -> None:
    world = _world()
    ledger = PortLedger(world.sources)
    ledger.enter("instance", A, decide(world, "a", ONE, ledger.open("instance", A)))
    assert 30000 not in ledger.open("instance", A)


def test_what_is_written_is_found_in_the_cache_until_its_object_is_gone() -> None:
    world = _world()
    ledger = PortLedger(world.sources)
    found = decide(world, "a", ONE, ledger.open("instance", A))
    ledger.enter("instance", A, found)
    world.carry_out(found)
    ledger.close("instance", A)
    assert 30000 in ledger.open("instance", B)
    world.remove(RoleInstance, "a")
    assert 30000 not in ledger.open("instance", B)
    spec: dict[str, Any] = {"roleInstanceTemplate": {"components": []}}
    world.put(RoleInstanceSet, {"metadata": {"name": "s", "annotations": {"main.http": "30000"}}, "spec": spec})
    assert 30000 in ledger.open("instance", B)
