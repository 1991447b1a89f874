"""Where output goes: in colour to a terminal, plain to anything else. rich is loaded only for a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from rbgctrl.cli.rendering import Line, Look, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["console", "is_terminal", "look", "print_lines", "styled"]


def is_terminal(*, err: bool = False) -> bool:
    """Whether the output is read by a person: a terminal that can move its cursor, or ``FORCE_COLOR`` says so."""
    if os.environ.get("FORCE_COLOR"):
        return True
    stream = sys.stderr if err else sys.stdout
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def console(*, err: bool = False) -> Console:
    """A console for that output; it respects ``NO_COLOR`` and the terminal's width."""
    from rich.console import Console  # noqa: PLC0415 - 70 ms that plain output does without

    return Console(stderr=err, highlight=False, emoji=False, markup=False)


def look(to: Console | None) -> Look:
    """What output to ``to`` may use; None stands for plain output."""
    if to is None:
        return Look()
    return Look(symbols=not to.options.ascii_only, width=to.width)


def styled(line: Line) -> Text:
    """A line as rich shows it: never wrapped, cut with an ellipsis where the terminal ends."""
    from rich.text import Text  # noqa: PLC0415 - see console()

    return Text.assemble(*line, no_wrap=True, overflow="ellipsis")


def print_lines(lines: Iterable[Line], to: Console | None) -> None:
    """Print lines to the terminal ``to``, or plainly to standard output."""
    if to is None:
        typer.echo(plain(lines), nl=False)
        return
    for line in lines:
        to.print(styled(line), no_wrap=True, overflow="ellipsis")
