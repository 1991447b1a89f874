"""Views as lines of text: aligned columns under tree guides, with style names that a terminal turns into colours.

Pure, and without rich, so that plain output does not pay for loading it. Plain lines use ASCII guides and say in words
what colour and symbols say on a terminal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from rbgctrl.cli.views import AdapterView, GroupView, InstanceView, MissingView, PodView, RoleView

__all__ = ["Line", "Look", "Span", "group_lines", "list_lines", "plain"]

READY, WAITING, FAILED, FAINT, STRONG = "green", "yellow", "red", "dim", "bold"
_GAP = "  "
_NARROWEST = 20
_OURS, _STANDALONE = "RoleInstanceSet", "Standalone"
_FAILED_PHASES = frozenset(("Failed", "Unknown"))
# Optional columns, the first to go when a terminal is too narrow named first.
_DROPPABLE = ("ip", "restarts", "zone", "part", "domain")


class Span(NamedTuple):
    """Text in one style; ``""`` is the terminal's own."""

    text: str
    style: str = ""


Line: TypeAlias = tuple[Span, ...]
_NOTHING = Span("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How much the output may use.

    Attributes:
        symbols: signs and line-drawing characters beyond ASCII.
        width: columns; None for as many as it takes.
    """

    symbols: bool = False
    width: int | None = None

    @property
    def guides(self) -> tuple[str, str, str, str]:
        """Branch, last branch, trunk, nothing; all of the same width."""
        return ("├── ", "└── ", "│   ", "    ") if self.symbols else ("|-- ", "`-- ", "|   ", "    ")

    def sign(self, ready: bool, *, failed: bool = False) -> str:
        """The sign before a name; nothing where words must do."""
        if not self.symbols:
            return ""
        return "✖ " if failed else "● " if ready else "○ "


@dataclass(slots=True)
class _Item:
    """One line of the tree before layout: cells by column name, in order, and what hangs below."""

    kind: str
    cells: dict[str, Span]
    tail: Span = _NOTHING
    below: list[_Item] = field(default_factory=list)


def plain(lines: Iterable[Line]) -> str:
    """Lines without styles, each ended by a newline, no blanks at the ends."""
    return "".join("".join(span.text for span in line).rstrip() + "\n" for line in lines)


def group_lines(group: GroupView, look: Look) -> list[Line]:
    """A group as a tree: roles, instances, pods with their nodes."""
    trunk, nothing = look.guides[2:]
    heading = _spilled(_heading(group, look), trunk if group.roles else nothing, look.width)
    return [*heading, *_tree(_roles(group, look), look), *_notes(group)]


def _heading(group: GroupView, look: Look) -> Line:
    failed = not group.ready and bool(group.reason) and group.reason != "RoleNotReady"
    spans = [
        Span(look.sign(group.ready, failed=failed), _style(group.ready, failed)),
        Span(group.name, STRONG),
        Span(_GAP + f"namespace {group.namespace}", FAINT),
        Span(_GAP + _verdict(group), _style(group.ready, failed)),
    ]
    return tuple(span for span in spans if span.text)


def _verdict(group: GroupView) -> str:
    if group.deleting:
        return "Deleting"
    if group.ready:
        return "Ready"
    if not group.reason:
        return "Not ready: no controller has reported on it yet"
    if group.reason == "AllRolesReady":
        return "Not ready: the last change has not been acted on yet"
    return f"Not ready: {_why(group.reason, group.message)}"


def _why(reason: str, message: str) -> str:
    """Reason and message in one line; what others wrote must not move a terminal's cursor."""
    text = f"{reason}: {message}" if message else reason
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _notes(group: GroupView) -> Iterator[Line]:
    for name in group.leaving:
        yield (Span(f"leaving: {name}, which no role asks for any more", FAINT),)
    for note in group.notes:
        yield (Span(f"note: {note}", FAINT),)


# What stands on each line ---------------------------------------------------------------------------------------------


def _roles(group: GroupView, look: Look) -> list[_Item]:
    return [_role(role, look) for role in group.roles]


def _role(role: RoleView, look: Look) -> _Item:
    style = _style(role.ready, bool(role.problem))
    item = _Item(
        "role",
        {
            "name": Span(look.sign(role.ready, failed=bool(role.problem)) + role.name, style),
            "ready": Span(f"{role.ready_replicas}/{role.replicas} ready", style),
            "pattern": Span(role.pattern or "no pattern", FAINT),
            "workload": Span("" if role.workload in (None, _OURS) else str(role.workload), FAINT),
            "after": Span(f"after {', '.join(role.dependencies)}" if role.dependencies else "", FAINT),
        },
        tail=Span("; ".join(_remarks(role)), FAILED if role.problem else WAITING),
    )
    alone = role.pattern == _STANDALONE
    item.below = [_instance(instance, look, alone=alone) for instance in role.instances or ()]
    item.below += [_pod(pod, look) for pod in role.workload_pods or ()]
    return item


def _remarks(role: RoleView) -> Iterator[str]:
    if role.problem:
        yield role.problem
    if role.waits_for:
        yield f"waits for {', '.join(role.waits_for)}"
    if role.replaces:
        yield f"waits until {' and '.join(role.replaces)} is gone"
    if role.adapter is not None:
        yield _adapter(role.adapter)
    if role.current_replicas != role.replicas and not role.waits_for:
        yield f"{role.current_replicas} of {role.replicas} exist"
    if role.updated_replicas < role.current_replicas:
        yield f"{role.updated_replicas} of {role.current_replicas} updated"


def _adapter(adapter: AdapterView) -> str:
    if adapter.decides:
        return f"scaled by adapter to {adapter.replicas}"
    return f"adapter {adapter.name} does not scale it" + (f", it is {adapter.phase}" if adapter.phase else " yet")


def _instance(instance: InstanceView, look: Look, *, alone: bool) -> _Item:
    style = _style(instance.ready, False)
    remarks = [_why(instance.reason, instance.message)] if instance.reason else []
    if instance.restarts:
        remarks.append(f"recreated {instance.restarts} times in a row")
    state = "deleting" if instance.deleting else _ready(instance.ready)
    item = _Item(
        "instance",
        {"name": Span(look.sign(instance.ready) + instance.name, style), "ready": Span(state, style)},
        tail=Span("; ".join(remarks), WAITING),
    )
    item.below = [_pod(pod, look, "" if alone else _part(pod, instance)) for pod in instance.pods]
    item.below += [_absent(missing) for missing in instance.missing]
    return item


def _part(pod: PodView, instance: InstanceView) -> str:
    """Its component, numbered where the instance has, or is to have, several pods of it."""
    several = sum(other.component == pod.component for other in instance.pods)
    several += sum(missing.pods for missing in instance.missing if missing.component == pod.component)
    return f"{pod.component} {pod.index}" if several > 1 else pod.component


def _pod(pod: PodView, look: Look, part: str = "") -> _Item:
    failed = pod.phase in _FAILED_PHASES
    style = _style(pod.ready, failed)
    node = pod.node
    lost = node is not None and node.ready is False
    remarks = [_why(pod.reason, pod.message)] if pod.reason else []
    if lost:
        remarks.append("its node is not ready")
    return _Item(
        "pod",
        {
            "name": Span(look.sign(pod.ready, failed=failed) + pod.name, style),
            "part": Span(part, FAINT),
            "phase": Span("Terminating" if pod.deleting else pod.phase, FAILED if failed else ""),
            "ready": Span(_ready(pod.ready), style),
            "restarts": Span(f"{pod.restarts} restarts" if pod.restarts else "", WAITING),
            "ip": Span(pod.ip or "", FAINT),
            "node": Span(node.name if node else "no node yet", FAILED if lost else "" if node else FAINT),
            "domain": Span((node.nvlink_domain if node else None) or "", "cyan"),
            "zone": Span((node.zone if node else None) or "", FAINT),
        },
        tail=Span("; ".join(remarks), FAILED if failed else WAITING),
    )


def _absent(missing: MissingView) -> _Item:
    pods = "pod" if missing.pods == 1 else "pods"
    return _Item("absent", {"name": Span(f"{missing.pods} {pods} of {missing.component} to come", FAINT)})


def _ready(ready: bool) -> str:
    return "ready" if ready else "not ready"


def _style(ready: bool, failed: bool) -> str:
    return FAILED if failed else READY if ready else WAITING


# Layout ---------------------------------------------------------------------------------------------------------------


def _tree(items: Sequence[_Item], look: Look) -> Iterator[Line]:
    flat = list(_flatten(items, look, ""))
    widths: dict[str, dict[str, int]] = {}
    for _, _, item in flat:
        columns = widths.setdefault(item.kind, {})
        for name, span in item.cells.items():
            columns[name] = max(columns.get(name, 0), len(span.text))
    for prefix, under, item in flat:
        columns = _fitting(widths[item.kind], len(prefix), look.width)
        yield from _spilled((Span(prefix, FAINT), *_cells(item, columns)), under, look.width)


def _flatten(items: Sequence[_Item], look: Look, indent: str) -> Iterator[tuple[str, str, _Item]]:
    """Each item with what stands before it, and before further lines about it."""
    branch, last, trunk, nothing = look.guides
    for item in items:
        final = item is items[-1]
        below = indent + (nothing if final else trunk)
        yield indent + (last if final else branch), below + (trunk if item.below else nothing), item
        yield from _flatten(item.below, look, below)


def _spilled(line: Line, under: str, width: int | None) -> Iterator[Line]:
    """The line; when it does not fit, its last part wrapped on lines of its own, so that no reason is cut off."""
    if width is None or sum(len(span.text) for span in line) <= width:
        yield line
        return
    *head, tail = line
    while head and not head[-1].text.strip():
        head.pop()
    yield tuple(head)
    for part in textwrap.wrap(tail.text.strip(), max(width - len(under), _NARROWEST)):
        yield (Span(under, FAINT), Span(part, tail.style))


def _fitting(widths: dict[str, int], indent: int, width: int | None) -> dict[str, int]:
    """The columns that have something in them, without those that must go for the rest to fit."""
    kept = {name: size for name, size in widths.items() if size}
    if width is None:
        return kept
    for name in _DROPPABLE:
        if indent + sum(kept.values()) + len(_GAP) * (len(kept) - 1) <= width:
            break
        kept.pop(name, None)
    return kept


def _cells(item: _Item, widths: dict[str, int]) -> Iterator[Span]:
    shown = [(item.cells.get(name, _NOTHING), size) for name, size in widths.items()]
    while shown and not item.tail.text and not shown[-1][0].text:
        shown.pop()  # blanks at the end would count as too long for a terminal
    for position, (span, size) in enumerate(shown):
        last = position == len(shown) - 1 and not item.tail.text
        yield span if last else Span(span.text.ljust(size) + _GAP, span.style)
    if item.tail.text:
        yield item.tail


# Lists ----------------------------------------------------------------------------------------------------------------


def list_lines(groups: Sequence[GroupView], look: Look, *, with_namespace: bool) -> list[Line]:
    """Groups as a table, one line each."""
    rows = [_list_row(group, look) for group in groups]
    columns = ["namespace"] if with_namespace else []
    columns += ["name", "ready", "roles"]
    widths = {name: max([len(name), *(len(row.cells[name].text) for row in rows)]) for name in columns}
    head = _Item("list", {name: Span(name.upper(), STRONG) for name in columns}, tail=Span("MESSAGE", STRONG))
    return [tuple(_cells(row, widths)) for row in [head, *rows]] if rows else []


def _list_row(group: GroupView, look: Look) -> _Item:
    failed = not group.ready and bool(group.reason) and group.reason != "RoleNotReady"
    style = _style(group.ready, failed)
    counts = (f"{role.name} {role.ready_replicas}/{role.replicas}" for role in group.roles)
    return _Item(
        "list",
        {
            "namespace": Span(group.namespace),
            "name": Span(look.sign(group.ready, failed=failed) + group.name, STRONG),
            "ready": Span("True" if group.ready else "False", style),
            "roles": Span(" ".join(counts)),
        },
        tail=Span("" if group.ready else _verdict(group).removeprefix("Not ready: "), style),
    )
