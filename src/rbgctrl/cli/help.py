"""Help texts. On a terminal typer draws them with rich; anything else gets plain text with the same sections.

Plain help matters: it is what pipes, pagers and logs show, and it costs a third of the start-up time.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

from typer.core import TyperCommand, TyperGroup

__all__ = ["PlainCommand", "PlainGroup", "markup"]


def markup() -> Literal["rich"] | None:
    """How typer shall write help: with rich on a terminal, plainly elsewhere."""
    return "rich" if sys.stdout.isatty() else None


def _sections(command: Any, context: Any) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            title = "Arguments" if parameter.param_type_name == "argument" else "Options"
            found.setdefault(getattr(parameter, "rich_help_panel", None) or title, []).append(record)
    return found


class PlainCommand(TyperCommand):
    """A command whose plain help has the sections that rich help shows as panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the parameters, section by section, in the order in which they are declared."""
        for title, records in _sections(self, ctx).items():
            with formatter.section(title):
                formatter.write_dl(records)


class PlainGroup(TyperGroup):
    """The same for the command that has commands."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the parameters, then the commands."""
        for title, records in _sections(self, ctx).items():
            with formatter.section(title):
                formatter.write_dl(records)
        self.format_commands(ctx, formatter)
