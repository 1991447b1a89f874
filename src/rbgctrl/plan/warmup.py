"""What a RoleBasedGroupWarmup needs next: pods on its nodes, an end, and a status that is true.

Attempts are numbered, and a pod's name follows from warmup, node and attempt, so a view that is behind never makes two
pods for one attempt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rbgctrl.api import conditions, events, labels, names
from rbgctrl.api.core import Pod
from rbgctrl.api.warmups import COMPLETED, FAILED, RoleBasedGroupWarmup, WarmupActions, WarmupPolicies
from rbgctrl.graph.warmups import Target, WarmupNode
from rbgctrl.plan import warmupstatus
from rbgctrl.plan.conditions import parse_time, stamp
from rbgctrl.plan.model import Action, Create, Delete, Note, Plan, Severity, Subject
from rbgctrl.plan.patience import moments
from rbgctrl.plan.podstate import active
from rbgctrl.plan.warmuppods import Work, create_pod, work
from rbgctrl.plan.warmupstatus import Blocked, End, Progress, named, report, unreadable
from rbgctrl.plan.words import because

__all__ = ["refused", "unreadable", "warmup"]

REFUSAL_MIN: Final = 1.0
"""Seconds until a refused creation is tried again; in between, as long as it has been refused so far."""
REFUSAL_MAX: Final = 60.0
"""No pause after a refusal is longer."""
RETRY_MIN: Final = 1.0
"""Seconds after the first failure on a node until the next attempt; doubles with each further one."""
RETRY_MAX: Final = 300.0
"""No pause between two attempts is longer."""

_UNLIMITED = WarmupPolicies()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tally:
    """How the nodes are doing.

    Attributes:
        succeeded: targets that are warm.
        failed: targets that were given up.
        pending: targets that need a pod, each with the number of its attempt.
        resting: seconds until targets whose last attempt failed get the next one.
        active: pods that are at work.
        doomed: pods that never will be: their node is neither a target nor there.
    """

    succeeded: tuple[str, ...]
    failed: tuple[str, ...]
    pending: tuple[tuple[Target, int], ...]
    resting: tuple[float, ...]
    active: tuple[Pod, ...]
    doomed: tuple[Pod, ...]

    @property
    def active_nodes(self) -> int:
        """Nodes with a pod at work."""
        return len({_label(pod) for pod in self.active})


def warmup(node: WarmupNode, now: datetime) -> Plan:
    """Decide what to write for one warmup.

    Args:
        node: the warmup with its targets and pods.
        now: the present, for limits of time.
    """
    found = node.warmup
    if found.metadata.deleting:
        return Plan(because="the warmup is being deleted; its pods go with it")
    if found.ended:
        return _after_the_end(node, now)
    tally = _tally(node, now)
    todo = _todo(node)
    end = _end(node, tally, now)
    creates = () if end is not None or found.spec.paused else _creates(node, tally, todo)
    stopped = tally.active if end is not None and end.phase == FAILED else ()
    deletes = (*_deletes(tally.doomed, "its node is no target any more"), *_deletes(stopped, "the warmup has failed"))
    progress = _progress(node, tally, todo, creates, now, end)
    told = report(node, progress, now)
    actions: tuple[Action, ...] = (*deletes, *creates)
    steps = tuple(step for step in (actions, told.status) if step)
    if end is None:
        resting = () if found.spec.paused else tally.resting
        timers = (told.pause, _time_left(found, progress.start_time, now), *resting)
    else:
        timers = (_ttl(found, stamp(now), now),)
    return Plan(
        steps=steps,
        notes=(*_created(found, creates), *told.notes),
        requeue_after=min((max(timer, 0.0) for timer in timers if timer is not None), default=None),
        because=because(steps),
    )


def _label(pod: Pod) -> str:
    return pod.metadata.labels.get(labels.WARMUP_NODE, "")


def _actions(found: RoleBasedGroupWarmup, roles: tuple[str, ...]) -> tuple[WarmupActions, ...]:
    group = found.spec.target_role_based_group
    if group is not None:
        return tuple(group.roles[role] for role in roles)
    return (found.spec.target_nodes,) if found.spec.target_nodes is not None else ()


def _todo(node: WarmupNode) -> dict[tuple[str, ...], Work]:
    """The work for each combination of roles that share a node."""
    return {roles: work(_actions(node.warmup, roles)) for roles in {target.roles for target in node.targets}}


# Nodes ----------------------------------------------------------------------------------------------------------------


def _tally(node: WarmupNode, now: datetime) -> _Tally:
    limit = (node.warmup.spec.policies or _UNLIMITED).backoff_limit_per_node
    pods: dict[str, list[Pod]] = {}
    for pod in node.pods:
        pods.setdefault(_label(pod), []).append(pod)
    succeeded, failed, pending, resting, running = [], [], [], [], []
    for target in node.targets:
        mine = pods.pop(names.warmup_node(target.node), [])
        at_work = [pod for pod in mine if active(pod)]
        failures = [pod for pod in mine if pod.status.phase == "Failed"]
        running += at_work
        if any(pod.status.phase == "Succeeded" for pod in mine):
            succeeded.append(target.node)
        elif at_work:
            continue
        elif limit is not None and len(failures) > limit:
            failed.append(target.node)
        elif (pause := _pause(failures, now)) > 0:
            resting.append(pause)
        else:
            pending.append((target, _attempt(mine)))
    strays = [pod for left in pods.values() for pod in left if active(pod)]
    return _Tally(
        succeeded=tuple(succeeded),
        failed=tuple(failed),
        pending=tuple(pending),
        resting=tuple(resting),
        active=(*running, *(pod for pod in strays if pod.spec.node_name in node.nodes)),
        doomed=tuple(pod for pod in strays if pod.spec.node_name not in node.nodes),
    )


def _pause(failures: Sequence[Pod], now: datetime) -> float:
    """Seconds until the next attempt on a node; none for the first."""
    if not failures:
        return 0.0
    pause = min(RETRY_MIN * 2.0 ** min(len(failures) - 1, 30), RETRY_MAX)
    moved = (moment for pod in failures for moment in moments(pod.metadata, pod.status.conditions))
    last = max((parse_time(moment) for moment in moved if moment), default=now)
    return min(pause - (now - last).total_seconds(), pause)  # the node's clock may be ahead of ours


def _attempt(pods: Sequence[Pod]) -> int:
    """A number that no attempt has had, as far as there is a pod of it: a pod that is going still has its name."""
    known = (names.warmup_attempt(pod.metadata.name) for pod in pods)
    return max((number for number in known if number is not None), default=-1) + 1


def _creates(node: WarmupNode, tally: _Tally, todo: Mapping[tuple[str, ...], Work]) -> tuple[Create, ...]:
    found = node.warmup
    parallelism = (found.spec.policies or _UNLIMITED).parallelism
    room = len(tally.pending) if parallelism is None else max(parallelism - tally.active_nodes, 0)
    return tuple(
        create_pod(found, target.node, node.nodes.get(target.node), attempt, todo[target.roles])
        for target, attempt in tally.pending[:room]
    )


def _deletes(pods: Sequence[Pod], why: str) -> Iterator[Delete]:
    for pod in pods:
        yield Delete(kind=Pod, key=pod.key, uid=pod.uid, why=why)


# Waiting and ending ---------------------------------------------------------------------------------------------------


def _started(node: WarmupNode) -> bool:
    status = node.warmup.status
    return bool(node.pods) or (status is not None and status.start_time is not None)


def _blocked(node: WarmupNode, tally: _Tally) -> Blocked | None:
    """What the warmup waits for that it cannot bring about."""
    wanted = node.warmup.spec.target_role_based_group
    if wanted is None:
        done = {*tally.succeeded, *tally.failed}
        missing = [item.node for item in node.targets if item.node not in node.nodes and item.node not in done]
        message = f"no such node: {named(missing)}; goes on there when it appears"
        return Blocked(conditions.NODE_NOT_FOUND, message) if missing else None
    if node.targets or _started(node):
        return None
    if node.group is None:
        message = f"RoleBasedGroup {wanted.name} does not exist; begins when pods of it have nodes"
        return Blocked(conditions.GROUP_NOT_FOUND, message)
    declared = node.group.spec.roles if node.group.spec is not None else ()
    expected = [role.name for role in declared if role.name in wanted.roles and role.replicas > 0]
    message = f"no pod of role {', '.join(expected)} has a node yet; begins when one has"
    return Blocked(conditions.NO_PODS_PLACED, message) if expected else None


def _end(node: WarmupNode, tally: _Tally, now: datetime) -> End | None:
    """Whether it is over now, and how. A pause holds up what is left to do, not the limits."""
    found = node.warmup
    policies = found.spec.policies or _UNLIMITED
    desired, failed = len(node.targets), len(tally.failed)
    warm = f"{len(tally.succeeded)}/{desired} nodes warmed up successfully"
    most = policies.max_failed_nodes
    if most is not None and failed > most:
        message = f"{failed} nodes failed and {most} may: {named(tally.failed)}; {warm}"
        return End(FAILED, events.WARMUP_MAX_FAILED_NODES, message)
    left = _time_left(found, found.status.start_time if found.status is not None else None, now)
    timeout = End(FAILED, events.WARMUP_TIMEOUT, f"not finished within {policies.global_timeout_seconds} s; {warm}")
    if found.spec.paused:
        return timeout if left is not None and left <= 0 else None
    if not node.targets and not _started(node):
        if _blocked(node, tally) is not None:
            return None
        return End(COMPLETED, conditions.NO_NODES_MATCHED, "no node matches, so there is nothing to do")
    if not (tally.pending or tally.resting or tally.active):
        message = f"{warm}, {failed} failed: {named(tally.failed)}" if failed else warm
        return End(COMPLETED, events.WARMUP_COMPLETED, message)
    return timeout if left is not None and left <= 0 else None


def _time_left(found: RoleBasedGroupWarmup, since: str | None, now: datetime) -> float | None:
    """Seconds until it takes too long; None without a limit, and before the start."""
    limit = (found.spec.policies or _UNLIMITED).global_timeout_seconds
    return None if limit is None or since is None else limit - (now - parse_time(since)).total_seconds()


def _ttl(found: RoleBasedGroupWarmup, ended: str | None, now: datetime) -> float | None:
    """Seconds until a warmup that has ended is to be deleted; None for never."""
    ttl = (found.spec.policies or _UNLIMITED).ttl_seconds_after_finished
    if ttl is None or ended is None:
        return None
    return max(ttl - (now - parse_time(ended)).total_seconds(), 0.0)


def _after_the_end(node: WarmupNode, now: datetime) -> Plan:
    """Nothing is left but to stop what a failed one may still have running, and to go when it is time."""
    found = node.warmup
    assert found.status is not None  # noqa: S101 - it has a phase
    left = _ttl(found, found.status.completion_time, now)
    if left is not None and left <= 0:
        why = "its time to live after the end is over"
        delete = Delete(kind=RoleBasedGroupWarmup, key=found.key, uid=found.uid, why=why)
        note = Note(
            subject=Subject.of(found),
            severity=Severity.NORMAL,
            reason=events.WARMUP_TTL_EXPIRED,
            message=f"deleted: it ended {found.status.completion_time}, and {why}",
        )
        return Plan(steps=((delete,),), notes=(note,), because=why)
    running = [pod for pod in node.pods if active(pod)] if found.status.phase == FAILED else []
    deletes = tuple(_deletes(running, "the warmup has failed"))
    return Plan(steps=(deletes,) if deletes else (), requeue_after=left, because="the warmup has ended")


# Telling --------------------------------------------------------------------------------------------------------------


def _progress(
    node: WarmupNode,
    tally: _Tally,
    todo: Mapping[tuple[str, ...], Work],
    creates: Sequence[Create],
    now: datetime,
    end: End | None,
) -> Progress:
    status = node.warmup.status
    start = status.start_time if status is not None else None
    stopped = end is not None and end.phase == FAILED
    return Progress(
        desired=len(node.targets),
        active=0 if stopped else tally.active_nodes + len(creates),
        succeeded=len(tally.succeeded),
        failed=len(tally.failed),
        start_time=start or (stamp(now) if node.pods or creates else None),
        conflicts=tuple(sorted({name for item in todo.values() for name in item.conflicts})),
        blocked=_blocked(node, tally) if end is None else None,
        end=end,
    )


def _created(found: RoleBasedGroupWarmup, creates: Sequence[Create]) -> Iterator[Note]:
    """One Event for all pods of a pass."""
    if creates:
        yield Note(
            subject=Subject.of(found),
            severity=Severity.NORMAL,
            reason=events.WARMUP_CREATED_POD,
            message=f"created pod {named([create.key.name for create in creates])}",
        )


def refused(node: WarmupNode, now: datetime, why: str) -> Plan:
    """What to say when the API server refused to make pods, and when to try again."""
    found = node.warmup
    if found.metadata.deleting or found.ended:
        return Plan(because="nothing to report on")
    progress = _progress(node, _tally(node, now), _todo(node), (), now, None)
    told = replace(progress, blocked=Blocked(events.WARMUP_FAILED_CREATE_POD, why))
    written = report(node, told, now)
    retry = min(max(warmupstatus.blocked_for(found, now), REFUSAL_MIN), REFUSAL_MAX)
    left = _time_left(found, told.start_time, now)
    return Plan(
        steps=(written.status,) if written.status else (),
        notes=written.notes,
        requeue_after=retry if left is None else max(min(retry, left), 0.0),
        because=why,
    )
