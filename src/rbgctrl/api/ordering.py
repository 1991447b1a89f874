"""In which order roles may start: waves from the dependency lists, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Order", "order"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The verdict on a set of dependencies.

    Attributes:
        waves: role names by layer; a role's layer is one more than the highest of its dependencies, and names are
            sorted inside a layer. Empty when there is a fault.
        unknown: (role, dependency) pairs where the dependency is not a role of the group.
        cycle: one cycle as a path that ends where it begins, e.g. ``("a", "b", "a")``; empty when there is none.
    """

    waves: tuple[tuple[str, ...], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
    cycle: tuple[str, ...] = ()

    @property
    def fault(self) -> str:
        """What is wrong and what to do about it, or ``""``."""
        if self.unknown:
            pairs = ", ".join(f"role {role} depends on {needed}" for role, needed in self.unknown)
            return f"{pairs}, which is no role of this group; add the role or remove the dependency"
        if self.cycle:
            return f"roles wait for each other: {' -> '.join(self.cycle)}; remove one of these dependencies"
        return ""


def order(dependencies: Mapping[str, Sequence[str]]) -> Order:
    """Layer roles by their dependencies.

    Args:
        dependencies: role name to the names it must wait for.
    """
    unknown = tuple(
        (role, needed) for role in sorted(dependencies) for needed in dependencies[role] if needed not in dependencies
    )
    if unknown:
        return Order(unknown=unknown)
    missing = {role: len(set(needs)) for role, needs in dependencies.items()}
    dependants: dict[str, list[str]] = {role: [] for role in dependencies}
    for role, needs in dependencies.items():
        for needed in set(needs):
            dependants[needed].append(role)
    waves = []
    wave = [role for role, count in missing.items() if not count]
    while wave:
        waves.append(tuple(sorted(wave)))
        following = []
        for needed in wave:
            for role in dependants[needed]:
                missing[role] -= 1
                if not missing[role]:
                    following.append(role)
        wave = following
    if any(missing.values()):
        return Order(cycle=_cycle(dependencies))
    return Order(waves=tuple(waves))


def _cycle(dependencies: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The first cycle in name order, as a path. Iterative, so that a long chain cannot exhaust the stack."""
    done: set[str] = set()
    for start in sorted(dependencies):
        path: list[str] = []
        on_path: set[str] = set()
        todo: list[tuple[str, bool]] = [(start, False)]
        while todo:
            role, leaving = todo.pop()
            if leaving:
                path.pop()
                on_path.discard(role)
                done.add(role)
            elif role in on_path:
                return (*path[path.index(role) :], role)
            elif role not in done:
                path.append(role)
                on_path.add(role)
                todo.append((role, True))
                todo.extend((needed, False) for needed in sorted(dependencies[role], reverse=True))
    return ()
