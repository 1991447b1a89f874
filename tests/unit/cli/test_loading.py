"""Objects in memory, and what a view says when it cannot be current."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from rbgctrl.api.core import Pod
from rbgctrl.api.meta import Key
from rbgctrl.cli import following
from rbgctrl.cli.loading import Scope
from rbgctrl.graph.memory import Memory
from unit.cli import scene


def _pods(*names: str, owner: str = "a") -> list[Pod]:
    return scene.decode(Pod, [scene.pod(name, owner, "main", 0) for name in names])


def test_objects_in_memory_are_found_by_key_and_by_their_controller() -> None:
    memory = Memory([*_pods("p-2", "p-1"), *_pods("q", owner="b")])
    assert memory.get(Key("ml", "q")) is not None
    assert memory.get(Key("other", "q")) is None
    assert [pod.key.name for pod in memory.owned("uid-a")] == ["p-1", "p-2"]
    assert [pod.key.name for pod in memory.list()] == ["p-1", "p-2", "q"]
    assert memory.owned("uid-c") == ()


def test_nothing_belongs_to_an_owner_without_uid_nor_to_one_that_does_not_control() -> None:
    manifest = scene.pod("p", "a", "main", 0)
    reference = manifest["metadata"]["ownerReferences"][0]
    for broken in (reference | {"controller": False}, reference | {"uid": ""}):
        manifest["metadata"]["ownerReferences"] = [broken]
        memory = Memory(scene.decode(Pod, [manifest]))
        assert memory.owned(reference["uid"]) == ()
        assert memory.owned("") == ()


def test_a_scope_selects_one_group_or_whatever_belongs_to_any() -> None:
    one, many = Scope(namespace="ml", name="llm"), Scope(namespace="")
    assert (one.deep, one.field_selector) == (True, "metadata.name=llm")
    assert one.label_selector == "rbg.workloads.x-k8s.io/group-name=llm"
    assert (many.deep, many.field_selector) == (False, "")
    assert many.label_selector == "rbg.workloads.x-k8s.io/group-name"


def test_a_view_that_is_not_current_says_why_once() -> None:
    errors = ("", "cannot connect", "cannot connect")
    informers = [SimpleNamespace(statistics=lambda error=error: SimpleNamespace(error=error)) for error in errors]
    cache = cast("Any", SimpleNamespace(informers=lambda: informers))
    assert following._troubles(cache) == ("not current: cannot connect",)
