"""Shows what the demo is doing: live on a terminal, a line for each thing that is done elsewhere. Times each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

import typer

from rbgctrl.cli import console as consoles
from rbgctrl.cli.views import GroupView, RoleView

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID

__all__ = ["Board", "PlainBoard", "TerminalBoard", "board", "ready_pods"]

Clock = Callable[[], float]


class Board(Protocol):
    """Where steps and roles are shown while the context is open.

    Attributes:
        times: seconds that each finished step took.
    """

    times: dict[str, float]

    def __enter__(self) -> Board: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def step(self, what: str) -> AbstractContextManager[None]:
        """Runs the body as a step; several may run at once."""
        ...

    def roles(self, group: GroupView) -> None:
        """The group as it is now."""
        ...


def board() -> Board:
    """The board that suits standard output."""
    return TerminalBoard() if consoles.is_terminal() else PlainBoard()


def ready_pods(role: RoleView) -> int:
    """Pods of the role that are ready."""
    return sum(pod.ready for instance in role.instances or () for pod in instance.pods)


class PlainBoard:
    """A line for each step that is done and for each change of a role."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.times: dict[str, float] = {}
        self._clock = clock
        self._shown: dict[str, str] = {}

    def __enter__(self) -> PlainBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Runs the body and says how long it took."""
        began = self._clock()
        yield
        self.times[what] = self._clock() - began
        typer.echo(f"{what}: {self.times[what]:.1f} s")

    def roles(self, group: GroupView) -> None:
        """Says what changed."""
        for role in group.roles:
            text = _state(role)
            if self._shown.get(role.name) != text:
                self._shown[role.name] = text
                typer.echo(f"  {role.name}: {text}")


class TerminalBoard:
    """Steps with spinners, roles with bars."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        from rich.console import Group  # noqa: PLC0415 - only a terminal needs it
        from rich.live import Live  # noqa: PLC0415 - the same
        from rich.progress import (  # noqa: PLC0415 - the same
            BarColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
        )

        self.times: dict[str, float] = {}
        self._clock = clock
        self._console = consoles.console()
        done = "*" if self._console.options.ascii_only else "✔"
        spinner = SpinnerColumn(
            "line" if self._console.options.ascii_only else "dots", finished_text=f"[green]{done}[/green]"
        )
        elapsed = TextColumn("{task.fields[took]}", style="dim")
        self._steps: Progress = Progress(spinner, TextColumn("{task.description}"), elapsed)
        self._bars: Progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[state]}", style="dim"),
        )
        self._tasks: dict[str, TaskID] = {}
        self._live = Live(Group(self._steps, self._bars), console=self._console, refresh_per_second=10)

    def __enter__(self) -> TerminalBoard:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Runs the body under a spinner."""
        began = self._clock()
        task = self._steps.add_task(what, total=1, took="")
        try:
            yield
        except BaseException:
            self._steps.update(task, visible=False)
            raise
        self.times[what] = self._clock() - began
        self._steps.update(task, completed=1, took=f"{self.times[what]:.1f} s")

    def roles(self, group: GroupView) -> None:
        """Moves the bars."""
        width = max((len(role.name) for role in group.roles), default=0)
        for role in group.roles:
            if role.name not in self._tasks:
                self._tasks[role.name] = self._bars.add_task(role.name.ljust(width), total=role.pods, state="")
            self._bars.update(self._tasks[role.name], completed=ready_pods(role), state=_state(role))


def _state(role: RoleView) -> str:
    if role.waits_for:
        return f"waits for {', '.join(role.waits_for)}"
    pods = f"{ready_pods(role)} of {role.pods} pods ready"
    return f"{pods}, {role.ready_replicas} of {role.replicas} instances"
