"""Where a pod goes, decided as kube-scheduler 1.36 decides it: filter, score, draw among the best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypeAlias

from rbgctrl.sim.scheduling.demand import Demand, Demands, Reason, Verdict
from rbgctrl.sim.scheduling.neighbours import Neighbours
from rbgctrl.sim.scheduling.spread import Spread
from rbgctrl.sim.scheduling.state import NodeInfo, State

__all__ = ["Decision", "Draw", "decide", "nodes_to_find", "rank"]

Draw: TypeAlias = Callable[[int], int]
"""A number from 0 to one below the given one: which of several equals."""

_SAMPLED_FROM: Final = 100
_LEAST_PERCENT: Final = 5
_WEIGHTS: Final = {"taints": 3, "affinity": 2, "spread": 2, "neighbours": 2}
_NOT_BY_NAME: Final = Reason(("node(s) didn't satisfy plugin(s) [NodeAffinity]",), helpless=True)


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one attempt.

    Attributes:
        node: where the pod goes; ``""`` when nowhere.
        message: why nowhere, as the pod's condition says it.
        next_start: where the search for the next pod begins.
    """

    node: str
    message: str
    next_start: int


def nodes_to_find(count: int) -> int:
    """How many nodes that fit are enough to score, in a cluster of ``count``."""
    if count < _SAMPLED_FROM:
        return count
    percent = max(50 - count // 125, _LEAST_PERCENT)
    return max(count * percent // 100, _SAMPLED_FROM)


def decide(
    pod: Mapping[str, Any], state: State, demands: Demands, start: int, draw: Draw, *, sampling: bool = True
) -> Decision:
    """Choose a node for a pod.

    Args:
        pod: the pod, not bound yet.
        state: the cluster.
        demands: compiles pods; keep it between calls.
        start: index of the node to look at first, from the last decision.
        draw: decides among equals.
        sampling: look only at a part of a large cluster, as the real one does.

    Raises:
        ValueError: a quantity in the pod cannot be read.
    """
    order = state.order
    if not order:
        return Decision("", "no nodes available to schedule pods", 0)
    demand = demands.of(pod)
    if demand.conflict:
        message = f"0/{len(order)} nodes are available: pod affinity terms conflict."
        return Decision("", message + _preemption(pod, len(order), len(order)), start)
    candidates = order if demand.names is None else [node for node in order if node.name in demand.names]
    neighbours, spread = Neighbours(pod, state), Spread(pod, demand, state)
    enough = nodes_to_find(len(candidates)) if sampling else len(candidates)
    fitting, reasons = _filter(demand, candidates, neighbours, spread, start, enough)
    absent = len(order) - len(candidates)
    if not fitting:
        return Decision("", _message(pod, len(order), reasons, absent), (start + len(reasons) + absent) % len(order))
    next_start = (start + len(fitting) + len(reasons)) % len(order)
    if len(fitting) == 1:
        return Decision(fitting[0].node.name, "", next_start)
    totals = _score(demand, fitting, neighbours, spread)
    best = max(totals)
    equals = [found.node for found, total in zip(fitting, totals, strict=True) if total == best]
    return Decision(equals[draw(len(equals)) if len(equals) > 1 else 0].name, "", next_start)


def rank(pod: Mapping[str, Any], state: State, demands: Demands) -> dict[str, int]:
    """The score of every node a pod fits on; the highest are those it may get.

    Raises:
        ValueError: a quantity in the pod cannot be read.
    """
    demand = demands.of(pod)
    nodes = [node for node in state.order if demand.names is None or node.name in demand.names]
    neighbours, spread = Neighbours(pod, state), Spread(pod, demand, state)
    fitting, _ = _filter(demand, nodes, neighbours, spread, 0, len(nodes))
    totals = _score(demand, fitting, neighbours, spread) if fitting else []
    return {found.node.name: total for found, total in zip(fitting, totals, strict=True)}


def _filter(
    demand: Demand, candidates: Sequence[NodeInfo], neighbours: Neighbours, spread: Spread, start: int, enough: int
) -> tuple[list[Verdict], list[Reason]]:
    fitting: list[Verdict] = []
    reasons: list[Reason] = []
    with_spread, with_neighbours = spread.required, neighbours.required
    known, judge = demand.verdicts.get, demand.verdict
    first = start % len(candidates) if candidates else 0
    for node in chain(candidates[first:], candidates[:first]):
        found = known(node.name)
        if found is None or found.stamp != node.stamp or found.node is not node:
            found = judge(node)
        reason = found.reason
        if reason is None and with_spread:
            reason = spread.excludes(node)
        if reason is None and with_neighbours:
            reason = neighbours.excludes(node)
        if reason is not None:
            reasons.append(reason)
            continue
        fitting.append(found)
        if len(fitting) == enough:
            break
    return fitting, reasons


def _score(demand: Demand, fitting: Sequence[Verdict], neighbours: Neighbours, spread: Spread) -> list[int]:
    totals, statics = [found.room for found in fitting], [found.static for found in fitting]
    nodes = [found.node for found in fitting]
    _add(totals, _relative([static.dislikes for static in statics], reverse=True), _WEIGHTS["taints"])
    if demand.preferred:
        _add(totals, _relative([static.preference for static in statics]), _WEIGHTS["affinity"])
    _add(totals, spread.scores(nodes), _WEIGHTS["spread"])
    _add(totals, neighbours.scores(nodes), _WEIGHTS["neighbours"])
    return totals


def _relative(raw: list[int], *, reverse: bool = False) -> list[int] | None:
    high = max(raw)
    if high == 0:
        return None  # the same for all
    return [100 - 100 * value // high if reverse else 100 * value // high for value in raw]


def _add(totals: list[int], scores: Sequence[int] | None, weight: int) -> None:
    if scores is not None:
        for index, score in enumerate(scores):
            totals[index] += weight * score


def _message(pod: Mapping[str, Any], total: int, reasons: Sequence[Reason], absent: int) -> str:
    counts: Counter[str] = Counter(text for reason in reasons for text in reason.texts)
    if absent:
        counts[_NOT_BY_NAME.texts[0]] += absent
    never = absent + sum(reason.helpless for reason in reasons)
    return f"0/{total} nodes are available: {_listed(counts)}." + _preemption(pod, never, total)


def _preemption(pod: Mapping[str, Any], never: int, total: int) -> str:
    """What the real one says after trying to evict others; nobody here has a priority over anybody."""
    if pod["spec"].get("preemptionPolicy") == "Never":
        return " no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never."
    tried = Counter({"Preemption is not helpful for scheduling": never})
    tried["No preemption victims found for incoming pod"] = total - never
    return f" no new claims to deallocate, preemption: 0/{total} nodes are available: {_listed(tried)}."


def _listed(counts: Counter[str]) -> str:
    return ", ".join(sorted(f"{count} {text}" for text, count in counts.items() if count))
