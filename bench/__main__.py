"""``python -m bench``: figures as a table, or as JSON; exit code 1 when an exact count is not what it must be."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console

from bench.groups import groups
from bench.pipeline import memory, pipeline
from bench.report import Row, show

__all__ = ["main"]

BENCHES: dict[str, Callable[..., list[Row]]] = {"pipeline": pipeline, "memory": memory, "group": groups}


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen benchmarks; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures rbgctrl. Counts are exact; rates are CPU rates of one process, and only ratios within "
        "one run compare between machines. 'group' starts a real control plane, built once.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(BENCHES)}; all when none")
    parser.add_argument("--short", action="store_true", help="fewer rounds and objects")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    wanted = parser.parse_args(arguments)
    if unknown := sorted(set(wanted.names) - set(BENCHES)):
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    told = Console(stderr=True)
    rows: list[Row] = []
    for name in wanted.names or BENCHES:
        told.print(f"measuring {name} ...")
        rows += BENCHES[name](short=wanted.short)
    show(rows, Console(width=None if sys.stdout.isatty() else 160))
    if wanted.json is not None:
        wanted.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    return int(any(row.exact and row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
