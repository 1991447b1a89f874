"""``rbgctrl tree``: groups as the controllers see them, from the group down to the nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import Protocol

import msgspec
import typer

from rbgctrl.cli import console as consoles
from rbgctrl.cli.errors import FAILED, OK, CliError
from rbgctrl.cli.following import follow
from rbgctrl.cli.loading import NodeBook, Scope, load
from rbgctrl.cli.options import Access, Output
from rbgctrl.cli.rendering import Line, Look, group_lines, list_lines
from rbgctrl.cli.views import GroupList, GroupView
from rbgctrl.client.client import Client

__all__ = ["TreeRequest", "frame", "tree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRequest:
    """What to show.

    Attributes:
        name: of one group; ``""`` lists all.
        all_namespaces: list those of every namespace.
        output: for people or for machines.
        watch: go on showing changes.
        ready: the exit code tells whether all shown groups are ready; with ``watch``, stop once they are.
    """

    name: str = ""
    all_namespaces: bool = False
    output: Output = Output.TEXT
    watch: bool = False
    ready: bool = False


class _Printer(Protocol):
    def show(self, groups: Sequence[GroupView]) -> None: ...


async def tree(request: TreeRequest, access: Access) -> int:
    """Show groups; returns the exit code.

    Raises:
        CliError: there is no such group, or the request makes no sense.
        ApiError: the server cannot be asked.
    """
    if request.name and request.all_namespaces:
        raise CliError("A group lives in one namespace: give either a name or --all-namespaces, not both.")
    async with access.connect() as client:
        scope = Scope(
            namespace="" if request.all_namespaces else access.namespace or client.namespace, name=request.name
        )
        book = NodeBook(client)
        groups: Sequence[GroupView] = await load(client, scope, book)
        if scope.name and not groups:
            raise _absent(scope)
        with ExitStack() as stack:
            printer = _printer(request, scope, stack)
            if request.watch:
                groups = await _watch(client, scope, book, request, printer)
            else:
                printer.show(groups)
    return FAILED if request.ready and not _all_ready(groups) else OK


async def _watch(
    client: Client, scope: Scope, book: NodeBook, request: TreeRequest, printer: _Printer
) -> Sequence[GroupView]:
    last: Sequence[GroupView] | None = None
    async with aclosing(follow(client, scope, book)) as states:
        async for groups in states:
            if scope.name and not groups:
                message = f"RoleBasedGroup {scope.name} was deleted from namespace {scope.namespace}; nothing is left."
                raise CliError(message, code=FAILED)
            if groups != last:
                printer.show(groups)
                last = groups
            if request.ready and _all_ready(groups):
                break
    return last or ()


def _all_ready(groups: Sequence[GroupView]) -> bool:
    return all(group.ready for group in groups)


def _absent(scope: Scope) -> CliError:
    return CliError(
        f"RoleBasedGroup {scope.name} does not exist in namespace {scope.namespace}; "
        f"see what does with: rbgctrl tree --namespace {scope.namespace}",
        code=FAILED,
    )


# Printing -------------------------------------------------------------------------------------------------------------


def frame(groups: Sequence[GroupView], scope: Scope, look: Look) -> list[Line]:
    """Everything that is on the screen at one moment."""
    if scope.deep:
        return [line for group in groups for line in group_lines(group, look)]
    return list_lines(groups, look, with_namespace=not scope.namespace)


def _printer(request: TreeRequest, scope: Scope, stack: ExitStack) -> _Printer:
    if request.output is Output.JSON:
        return _Json(scope, lines=request.watch)
    if not consoles.is_terminal():
        return _Plain(scope, watch=request.watch)
    return _Terminal(scope, stack, watch=request.watch)


@dataclass(frozen=True, slots=True)
class _Json:
    """One document; with ``lines`` one line per change."""

    scope: Scope
    lines: bool

    def show(self, groups: Sequence[GroupView]) -> None:
        data = msgspec.json.encode(groups[0] if self.scope.deep else GroupList(groups=tuple(groups)))
        typer.echo(data if self.lines else msgspec.json.format(data, indent=2))


@dataclass(slots=True)
class _Plain:
    """Text without colours; when watching, a line of dashes separates one state from the next."""

    scope: Scope
    watch: bool
    _begun: bool = False

    def show(self, groups: Sequence[GroupView]) -> None:
        if self._begun:
            typer.echo("---")
        self._begun = True
        if not groups:
            _say_empty(self.scope, lambda text: typer.echo(text, err=not self.watch))
        consoles.print_lines(frame(groups, self.scope, Look()), None)


class _Terminal:
    """Colours; when watching, the picture is redrawn in place and the last one stays."""

    def __init__(self, scope: Scope, stack: ExitStack, *, watch: bool) -> None:
        from rich.live import Live  # noqa: PLC0415 - only a terminal needs it

        self._scope = scope
        self._console = consoles.console()
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="ellipsis") if watch else None
        if self._live is not None:
            stack.enter_context(self._live)

    def show(self, groups: Sequence[GroupView]) -> None:
        from rich.console import Group  # noqa: PLC0415 - only a terminal needs it
        from rich.text import Text  # noqa: PLC0415 - the same

        shown = [consoles.styled(line) for line in frame(groups, self._scope, consoles.look(self._console))]
        if not groups:
            _say_empty(self._scope, lambda text: shown.append(Text(text, style="dim")))
        if self._live is not None:
            self._live.update(Group(*shown), refresh=True)
            return
        for text in shown:
            self._console.print(text, no_wrap=True, overflow="ellipsis")


def _say_empty(scope: Scope, say: Callable[[str], None]) -> None:
    say(f"No RoleBasedGroups in namespace {scope.namespace}." if scope.namespace else "No RoleBasedGroups.")
