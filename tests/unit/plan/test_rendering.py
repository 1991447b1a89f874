from __future__ import annotations

from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key
from rbgctrl.plan.rendering import rendering

from .world import World, group, role


def _stored(world: World, name: str = "llm") -> RoleBasedGroup:
    found = world.sources.groups.get(Key("ml", name))
    assert found is not None
    return found


def test_a_spec_is_rendered_once_until_it_changes() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a")))
    first = rendering(_stored(world))
    world.body(RoleBasedGroup, "llm")["metadata"]["annotations"] = {"note": "another object, the same spec"}
    assert rendering(_stored(world)) is first
    world.put(RoleBasedGroup, group("llm", role("a", image="engine:2")))
    second = rendering(_stored(world))
    assert second is not first
    assert second.data != first.data


def test_a_namesake_with_another_spec_never_gets_what_was_remembered() -> None:
    one, other = World(), World()  # both give their first object the same uid
    one.put(RoleBasedGroup, group("llm", role("a")))
    other.put(RoleBasedGroup, group("llm", role("b")))
    assert list(rendering(_stored(one)).hashes) == ["a"]
    assert list(rendering(_stored(other)).hashes) == ["b"]
    assert list(rendering(_stored(one)).hashes) == ["a"]


def test_replicas_are_no_part_of_a_hash_but_of_what_is_remembered() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a", 1)))
    first = rendering(_stored(world))
    world.put(RoleBasedGroup, group("llm", role("a", 2)))
    second = rendering(_stored(world))
    assert second is not first
    assert (second.hashes, second.data) == (first.hashes, first.data)


def test_what_depends_on_more_than_the_spec_is_made_anew_when_that_changes_and_the_old_is_forgotten() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a")))
    found = rendering(_stored(world))
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    assert [found.once(("x",), make, of=of) for of in ("one", "one", "two", "two", "one")] == [0, 0, 1, 1, 2]
    assert found.once(("y",), make) == 3
