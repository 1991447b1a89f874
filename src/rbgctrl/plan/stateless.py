"""Sets whose instances have ids: how many exist, which go first, and how they are replaced.

A pass does one kind of thing. What changes something ends it, so each decision is made on what the last one left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from rbgctrl.api import events, labels
from rbgctrl.api.instances import LifecycleHook, RoleInstance, RoleInstanceSet, RoleInstanceSetStatus
from rbgctrl.graph.nodes import InstanceNode, SetNode
from rbgctrl.graph.view import size_of
from rbgctrl.plan import lifecycle
from rbgctrl.plan.births import fresh_ids, newest, recorded, stateless_birth
from rbgctrl.plan.counting import Limits, Numbers, Tally, count, limits
from rbgctrl.plan.members import at, listed, names_of, revision_of, until_available, wanted_replicas
from rbgctrl.plan.model import Action, Delete, Patch, Severity
from rbgctrl.plan.revision import Revision, short
from rbgctrl.plan.setfaults import Trouble
from rbgctrl.plan.setpass import Pass, Told, soonest

__all__ = ["belongs", "stateless"]

_INT32: Final = 2**31


def belongs(found: RoleInstanceSet, node: InstanceNode) -> bool:
    """Whether an instance that the set controls is one of this pattern."""
    return node.instance.metadata.labels.get(labels.ROLE_INSTANCE_OWNER) == found.uid


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What one kind of step decided."""

    actions: tuple[Action, ...] = ()
    notes: tuple[Told, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Member:
    """An instance as the set judges it."""

    node: InstanceNode
    new: bool
    leaving: bool
    doomed: bool
    wait: float | None

    @property
    def item(self) -> RoleInstance:
        return self.node.instance

    @cached_property
    def available(self) -> bool:
        """Ready for long enough with every pod, and nothing is being done to it."""
        if self.wait is None or self.wait > 0 or lifecycle.state(self.item) != labels.LIFECYCLE_NORMAL:
            return False
        told = self.item.status.component_statuses if self.item.status is not None else ()
        ready = {component.name: component.ready_replicas for component in told}
        declared = self.item.spec.components if self.item.spec is not None else ()
        return all(ready.get(component.name, 0) >= size_of(component) for component in declared)

    @cached_property
    def rank(self) -> tuple[int, bool, bool, int, int, str]:
        """Who goes first: the less there is of it, the less it costs, and the younger it is."""
        told = self.item.status.component_statuses if self.item.status is not None else ()
        created = self.item.metadata.creation_timestamp or ""
        age = int("".join(filter(str.isdigit, created))[:14] or 0)
        return len(told), self.wait is not None, self.available, _cost(self.item), -age, self.item.metadata.name


def _cost(item: RoleInstance) -> int:
    try:
        cost = int(item.metadata.annotations.get(labels.INSTANCE_DELETION_COST, "0"))
    except ValueError:
        return 0
    return cost if -_INT32 <= cost < _INT32 else 0


def stateless(node: SetNode, members: Sequence[InstanceNode], revision: Revision, now: datetime) -> Pass:
    """Decide about the instances of a set without ordinals. Those that are going away do not count.

    Args:
        node: the set.
        members: its instances of this pattern.
        revision: that of its spec.
        now: the present.
    """
    return _Stateless(node, members, revision, now).decide()


class _Stateless:
    def __init__(self, node: SetNode, members: Sequence[InstanceNode], revision: Revision, now: datetime) -> None:
        spec = node.set.spec
        assert spec is not None  # noqa: S101 - checked by the caller
        self._node, self._spec, self._revision, self._now = node, spec, revision, now
        self._wanted = wanted_replicas(node.set)
        self._limits: Limits = limits(spec, self._wanted)
        scale, hooks = spec.scale_strategy, spec.lifecycle
        self._listed = frozenset(scale.role_instance_to_delete) if scale is not None else frozenset()
        self._hook: LifecycleHook | None = hooks.pre_delete if hooks is not None else None
        self._stored = (node.set.status or RoleInstanceSetStatus()).current_revision or revision.name
        self._members = [self._member(item) for item in members if not item.instance.metadata.deleting]

    def _member(self, node: InstanceNode) -> _Member:
        item = node.instance
        return _Member(
            node=node,
            new=at(item, self._revision),
            leaving=lifecycle.leaving(item),
            doomed=labels.ROLE_INSTANCE_DELETE in item.metadata.labels or item.metadata.name in self._listed,
            wait=until_available(item, self._spec.min_ready_seconds, self._now),
        )

    def decide(self) -> Pass:
        pruned = self._prune()
        if pruned is not None:
            return Pass(counted=tuple(item.node for item in self._members), actions=(pruned,), silent=True)
        numbers = count(self._limits, self._tally())
        done = self._scale(numbers)
        if not done.actions:
            done = self._update(numbers)
        everywhere = all(item.new for item in self._members) and bool(self._members or not self._wanted)
        current = self._revision.name if everywhere else self._stored
        settled = short(current) == self._revision.hash
        return Pass(
            counted=tuple(item.node for item in self._members),
            actions=done.actions,
            complete=len(self._members) >= self._wanted,
            notes=(*done.notes, *self._limited(numbers)),
            troubles=self._standstill(numbers),
            available=sum(item.available for item in self._members),
            current=current,
            expected=self._wanted - (0 if settled else self._limits.partition),
            count_current=False,
            look_again=soonest(*(item.wait for item in self._members if item.wait is not None and item.wait > 0)),
        )

    def _tally(self) -> Tally:
        def number(*, new: bool, leaving: bool | None = None, doomed: bool | None = None) -> int:
            return sum(
                item.new is new
                and (leaving is None or item.leaving is leaving)
                and (doomed is None or item.doomed is doomed)
                for item in self._members
            )

        return Tally(
            new=number(new=True),
            old=number(new=False),
            new_leaving=number(new=True, leaving=True),
            old_leaving=number(new=False, leaving=True),
            new_doomed=number(new=True, leaving=False, doomed=True),
            old_doomed=number(new=False, leaving=False, doomed=True),
            unavailable=sum(not (item.leaving or item.doomed or item.available) for item in self._members),
            settled=short(self._stored) == self._revision.hash,
        )

    # Number -----------------------------------------------------------------------------------------------------------

    def _prune(self) -> Patch | None:
        """Names that were listed for deletion and are gone, so that nobody who gets one of them later is meant."""
        scale = self._spec.scale_strategy
        there = {item.instance.metadata.name for item in self._node.instances}
        if scale is None or self._listed <= there:
            return None
        left = [name for name in scale.role_instance_to_delete if name in there]
        found = self._node.set
        return Patch(
            kind=RoleInstanceSet,
            key=found.key,
            uid=found.uid,
            body={
                "metadata": {"resourceVersion": found.metadata.resource_version},
                "spec": {"scaleStrategy": {"roleInstanceToDelete": left}},
            },
            why="instances that were to be deleted are gone",
        )

    def _scale(self, numbers: Numbers) -> _Done:
        """The first of these that changes something: keep after all, create, delete what may go, shrink."""
        leaving = [item for item in self._members if item.leaving]
        doomed = [item for item in self._members if item.doomed and not item.leaving]
        if kept := self._take_back(leaving, len(doomed)):
            return _Done(actions=kept)
        if numbers.scale > 0:
            return self._create(numbers)
        for chosen in (leaving, self._permitted(doomed, numbers.delete_ready)):
            if (done := self._delete(chosen, "somebody wants the instance deleted")).actions:
                return done
        if numbers.scale < 0 and not (leaving or doomed):
            return self._delete(self._surplus(-numbers.scale, -numbers.scale_old), "more instances than wanted")
        return _Done()

    def _take_back(self, leaving: Sequence[_Member], doomed: int) -> tuple[Action, ...]:
        """Instances that wait for their hook and are needed again, unless their pods are out of service already."""
        if self._hook is not None and self._hook.mark_not_ready:
            return ()
        needed = self._wanted - len(self._members) + len(leaving) + doomed
        spared = [item for item in sorted(leaving, key=lambda item: item.rank, reverse=True) if not item.doomed]
        return tuple(lifecycle.take_back(item.item, self._now) for item in spared[: max(needed, 0)])

    def _create(self, numbers: Numbers) -> _Done:
        old = min(numbers.scale_old, numbers.create)
        latest = newest(self._node.set, self._revision)
        before = (recorded(self._node, self._stored) if old else None) or latest
        sources = [before] * old + [latest] * (numbers.create - old)
        ids = fresh_ids(self._node, [source.revision for source in sources])
        births = tuple(
            stateless_birth(self._node.set, instance_id, source, self._now)
            for source, instance_id in zip(sources, ids, strict=True)
        )
        if not births:
            return _Done()
        made = listed([birth.key.name for birth in births])
        return _Done(actions=births, notes=(Told(reason=events.SUCCESSFUL_CREATE, message=f"created {made}"),))

    def _permitted(self, doomed: Sequence[_Member], limit: int) -> list[_Member]:
        """Of those that somebody wants deleted: the unready ones, and as many others as the limit allows."""
        ready = sorted((item for item in doomed if item.wait is not None), key=lambda item: (not item.new, item.rank))
        return [item for item in doomed if item.wait is None] + ready[:limit]

    def _surplus(self, total: int, old: int) -> list[_Member]:
        ranked = sorted(self._members, key=lambda item: item.rank)
        first = [item for item in ranked if not item.new][: min(old, total)]
        return first + [item for item in ranked if item.new][: total - len(first)]

    def _delete(self, chosen: Sequence[_Member], why: str) -> _Done:
        actions: list[Action] = []
        gone = []
        for member in chosen:
            item = member.item
            if self._hook is None or not lifecycle.held(item, self._hook):
                actions.append(Delete(kind=RoleInstance, key=item.key, uid=item.uid, why=why))
                gone.append(member.node)
            elif not member.leaving:
                actions.append(lifecycle.prepare_delete(item, self._hook, self._now))
        notes = (Told(reason=events.SUCCESSFUL_DELETE, message=f"deleted {listed(names_of(gone))}"),) if gone else ()
        return _Done(actions=tuple(actions), notes=notes)

    def _limited(self, numbers: Numbers) -> tuple[Told, ...]:
        """Told when creation begins, not on every pass of a long one."""
        status = self._node.set.status
        begins = status is not None and status.observed_generation < self._node.set.metadata.generation
        if numbers.create >= max(numbers.scale, 0) or not (numbers.create or begins):
            return ()
        message = (
            f"{numbers.scale} instances are missing and {numbers.create} are created now: "
            f"scaleStrategy.maxUnavailable allows {self._limits.scale_max_unavailable} unavailable ones"
        )
        return (Told(reason=events.SCALE_UP_LIMITED, message=message, severity=Severity.WARNING),)

    # Update -----------------------------------------------------------------------------------------------------------

    def _update(self, numbers: Numbers) -> _Done:
        """Mark the next outdated instances to be deleted; scaling replaces them."""
        ended = [patch for item in self._members if (patch := lifecycle.left_over(item.item, self._now)) is not None]
        if ended:
            return _Done(actions=tuple(ended))
        if self._limits.paused or not numbers.update:
            return _Done()
        chosen = [item for item in self._next(numbers) if labels.ROLE_INSTANCE_DELETE not in item.item.metadata.labels]
        if not chosen:
            return _Done()
        target = self._revision.name if numbers.update > 0 else self._stored
        message = f"{listed([item.item.metadata.name for item in chosen])} will be made anew at revision {target}"
        return _Done(
            actions=tuple(_mark(item.item) for item in chosen),
            notes=(Told(reason=events.SUCCESSFUL_UPDATE_INSTANCE_RECREATE, message=message),),
        )

    def _next(self, numbers: Numbers) -> list[_Member]:
        forwards = numbers.update > 0
        target = self._revision.hash if forwards else short(self._stored)
        candidates = [item for item in self._members if item.new is not forwards and not item.leaving]
        # Nothing is to stay at a revision that is neither of the two.
        both = (self._revision.hash, short(self._stored))
        candidates.sort(key=lambda item: (revision_of(item.item) in both, *self._turn(item)))
        candidates = sorted(candidates[: abs(numbers.update)], key=self._turn)
        down = sum(not item.available for item in self._members)
        down_there = sum(not item.available and revision_of(item.item) == target for item in self._members)
        chosen: list[_Member] = []
        for item in candidates:
            if down_there + len(chosen) >= numbers.update_unavailable:
                break
            if item.available:
                if down >= numbers.update_unavailable:
                    break
                down += 1
            chosen.append(item)
        return chosen

    @staticmethod
    def _turn(item: _Member) -> tuple[bool, tuple[int, bool, bool, int, int, str]]:
        return lifecycle.state(item.item) != labels.LIFECYCLE_PREPARING_UPDATE, item.rank

    def _standstill(self, numbers: Numbers) -> tuple[Trouble, ...]:
        """Said of a spec under which no update can ever go on."""
        allowed = self._limits
        if not numbers.update or allowed.paused or allowed.max_unavailable or allowed.max_surge or not self._wanted:
            return ()
        message = (
            f"{abs(numbers.update)} instances wait to be updated, but updateStrategy allows neither an unavailable "
            f"nor an extra one; set maxUnavailable or maxSurge to 1 or more"
        )
        return (Trouble(reason=events.INVALID_SPEC, message=message),)


def _mark(item: RoleInstance) -> Patch:
    body = {"metadata": {"labels": {labels.ROLE_INSTANCE_DELETE: "true"}}}
    return Patch(kind=RoleInstance, key=item.key, uid=item.uid, body=body, why="the instance is at an earlier revision")
