"""Which changes are worth waking a controller for; combine them with ``&``, ``|`` and ``~``.

Created and deleted objects pass every predicate that compares old with new. A resync repeats what is known, so it
passes only :data:`always` and combinations that need nothing else; a negation never lets one through.

Example:
    ``controller.watch(groups, handlers.itself, predicates.generation | predicates.annotations)``
"""

# No `from __future__ import annotations` in this file: it would be a name of this module, as is a predicate.

from collections.abc import Callable
from typing import Any

from rbgctrl.informers.change import Change

__all__ = [
    "Predicate",
    "always",
    "annotations",
    "created",
    "deleted",
    "deleting",
    "differs",
    "generation",
    "labels",
    "resource_version",
    "spec_or_status",
]


class Predicate:
    """A test of a change.

    Args:
        test: whether a change that is no resync passes.
        resync: whether resyncs pass.
        name: for ``repr``.
    """

    __slots__ = ("_name", "_resync", "_test")

    def __init__(self, test: Callable[[Change[Any]], bool], *, resync: bool = False, name: str = "") -> None:
        self._test = test
        self._resync = resync
        self._name = name or getattr(test, "__name__", "predicate").strip("_")

    def __call__(self, change: Change[Any]) -> bool:
        """Whether the change passes."""
        return self._resync if change.resync else self._test(change)

    def __and__(self, other: "Predicate") -> "Predicate":
        first, second = self._test, other._test
        return Predicate(
            lambda change: first(change) and second(change),
            resync=self._resync and other._resync,
            name=f"({self!r} & {other!r})",
        )

    def __or__(self, other: "Predicate") -> "Predicate":
        first, second = self._test, other._test
        return Predicate(
            lambda change: first(change) or second(change),
            resync=self._resync or other._resync,
            name=f"({self!r} | {other!r})",
        )

    def __invert__(self) -> "Predicate":
        test = self._test
        return Predicate(lambda change: not test(change), name=f"~{self!r}")

    def __bool__(self) -> bool:
        msg = "a predicate has no truth of its own; combine with & | ~ instead of and, or, not"
        raise TypeError(msg)

    def __repr__(self) -> str:
        return self._name


def differs(part: Callable[[Any], object], name: str) -> Predicate:
    """Passes created and deleted objects, and updates after which ``part`` is another.

    An object that stops or starts to decode as its type counts as different whatever the part.
    """

    def test(change: Change[Any]) -> bool:
        old, new = change.old, change.new
        return old is None or new is None or type(old) is not type(new) or part(old) != part(new)

    return Predicate(test, name=name)


def _content(obj: Any) -> object:
    """Everything but the metadata."""
    return [getattr(obj, field) for field in obj.__struct_fields__ if field != "metadata"]


always = Predicate(lambda _: True, resync=True, name="always")
"""Everything, resyncs too."""

resource_version = differs(lambda obj: obj.metadata.resource_version, "resource_version")
"""Everything but resyncs."""

generation = differs(lambda obj: obj.metadata.generation, "generation")
"""The spec changed, or deletion was requested of an object that counts generations (custom resources do)."""

labels = differs(lambda obj: obj.metadata.labels, "labels")
"""The labels changed."""

annotations = differs(lambda obj: obj.metadata.annotations, "annotations")
"""The annotations changed."""

spec_or_status = differs(_content, "spec_or_status")
"""Anything outside the metadata changed."""

created = Predicate(lambda change: change.old is None, name="created")
"""The object appeared, or was there when the watch began."""

deleted = Predicate(lambda change: change.new is None, name="deleted")
"""The object is gone."""

deleting = Predicate(lambda change: change.new is None or change.new.metadata.deleting, name="deleting")
"""The object waits for its finalizers, or is gone. Passes every update meanwhile, not only the first."""
