"""``rbgctrl validate``: reads files, prints the report."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import typer

from rbgctrl.api.admission import AdmissionOptions
from rbgctrl.api.finding import Severity
from rbgctrl.cli.console import console, is_terminal
from rbgctrl.cli.errors import FAILED, OK, CliError
from rbgctrl.cli.options import Output
from rbgctrl.cli.validate.checks import check
from rbgctrl.cli.validate.report import Issue, Report, Source

__all__ = ["ValidateRequest", "read", "validate"]

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_STDIN: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateRequest:
    """What to check.

    Attributes:
        files: paths of files and folders; ``-`` is standard input.
        output: text for people, json for programs.
        strict: warnings count as errors.
        deprecated: roles may be StatefulSets, Deployments and LeaderWorkerSets.
    """

    files: tuple[str, ...]
    output: Output
    strict: bool
    deprecated: bool


def validate(request: ValidateRequest) -> int:
    """Check manifests and print what was found; returns the exit code.

    Raises:
        CliError: there is nothing to read, or it cannot be read.
    """
    if not request.files:
        raise CliError("There is nothing to check: name files or folders with -f, or pipe manifests into -f -.")
    sources = read(request.files)
    options = AdmissionOptions(deprecated_workload_types=request.deprecated)
    report = check(sources, options, strict=request.strict)
    if request.output is Output.JSON:
        typer.echo(msgspec.json.format(msgspec.json.encode(report.json()), indent=2))
    else:
        _print(report)
    return FAILED if report.failed else OK


# Reading --------------------------------------------------------------------------------------------------------------


def read(files: Sequence[str]) -> list[Source]:
    """The texts to check, each once, those of folders sorted by path.

    Raises:
        CliError: a path does not exist, cannot be read, or is no text; a folder holds no manifests.
    """
    paths: dict[str, Path | None] = {}
    for name in files:
        if name == _STDIN:
            paths["stdin"] = None
            continue
        path = Path(name)
        found = _manifests(path) if path.is_dir() else [path]
        paths.update({str(file): file for file in found})
    return [Source(name, _text(name, path)) for name, path in paths.items()]


def _manifests(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file())
    except OSError as error:
        raise CliError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    if not found:
        raise CliError(f"The folder {folder} holds no manifests: no file in it ends with {', '.join(_SUFFIXES)}.")
    return found


def _text(name: str, path: Path | None) -> str:
    try:
        data = sys.stdin.buffer.read() if path is None else path.read_bytes()
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        return data.decode(encoding)
    except OSError as error:
        raise CliError(f"The file {name} cannot be read: {error.strerror}. Check the path.") from error
    except UnicodeDecodeError as error:
        raise CliError(f"The file {name} is no text in UTF-8: byte {error.start} fits nothing.") from error


# Printing -------------------------------------------------------------------------------------------------------------

_COLOURS: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}


def _print(report: Report) -> None:
    if report.issues and is_terminal():
        _table(report.issues)
    else:
        for issue in report.issues:
            typer.echo(_line(issue))
    for line in _summary(report):
        typer.echo(line)


def _line(issue: Issue) -> str:
    """As compilers write it, so that editors jump there."""
    what = ": ".join(part for part in (issue.object, issue.path, issue.message) if part)
    return _clean(f"{issue.file}:{issue.line}: {issue.severity.value}: {what}")


def _table(issues: Iterable[Issue]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    for heading in ("Where", "", "Object", "What"):
        table.add_column(heading, overflow="fold")
    for issue in issues:
        what = Text(_clean(f"{issue.path}: " if issue.path else ""), style="cyan")
        table.add_row(
            Text(_clean(f"{issue.file}:{issue.line}")),
            Text(issue.severity.value, style=_COLOURS[issue.severity]),
            Text(_clean(issue.object)),
            what.append(_clean(issue.message), style="default"),
        )
    console().print(table)


def _summary(report: Report) -> list[str]:
    counted = f"{_many(report.errors, 'error')}, {_many(report.warnings, 'warning')}"
    if report.strict and report.warnings:
        counted += " (which count as errors)"
    lines = [f"{_many(report.checked.total(), 'object')} checked{_kinds(report.checked)}: {counted}"]
    if report.skipped:
        lines.append(f"{_many(report.skipped.total(), 'document')} of other kinds not checked{_kinds(report.skipped)}")
    return lines


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _kinds(counted: Counter[str]) -> str:
    listed = ", ".join(f"{kind} {number}" for kind, number in sorted(counted.items()))
    return _clean(f" ({listed})") if listed else ""


def _clean(text: str) -> str:
    """Without what would move a terminal's cursor or break a line: manifests may come from anywhere."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
