"""Help texts. On a terminal typer draws them with rich; anything else gets plain text with the same sections.

Plain help is what pipes, pagers and logs show, and it costs a third of the start-up time.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any, Literal

from typer.core import TyperCommand, TyperGroup

__all__ = ["PlainCommand", "PlainGroup", "markup"]

_EXAMPLE = "    "


def markup() -> Literal["rich"] | None:
    """How typer shall write help: with rich on a terminal, plainly elsewhere."""
    return "rich" if sys.stdout.isatty() else None


class PlainCommand(TyperCommand):
    """A command whose plain help has the sections that rich help shows as panels."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the parent's signature
        """Write the description; examples, which are indented, stay as they are."""
        _describe(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the parameters, section by section."""
        _parameters(self, ctx, formatter)


class PlainGroup(TyperGroup):
    """The same for the command that has commands."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the parent's signature
        """Write the description; examples, which are indented, stay as they are."""
        _describe(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the parameters, section by section, then the commands."""
        _parameters(self, ctx, formatter)
        self.format_commands(ctx, formatter)


def _describe(text: str | None, formatter: Any) -> None:
    with formatter.indentation():
        for paragraph in inspect.cleandoc(text or "").split("\n\n"):
            formatter.write_paragraph()
            if paragraph.startswith(_EXAMPLE):
                indent = " " * formatter.current_indent
                formatter.write("".join(f"{indent}{line}\n" for line in paragraph.splitlines()))
            else:
                formatter.write_text(" ".join(paragraph.split()))


def _parameters(command: Any, context: Any, formatter: Any) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            title = "Arguments" if parameter.param_type_name == "argument" else "Options"
            sections.setdefault(getattr(parameter, "rich_help_panel", None) or title, []).append(record)
    for title, records in sections.items():
        with formatter.section(title):
            formatter.write_dl(records)
