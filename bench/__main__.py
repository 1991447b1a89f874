"""``python -m bench``: figures as a table, or as JSON; exit code 1 when an exact count is not what it must be."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from bench.groups import groups
from bench.memory import memory
from bench.pipeline import pipeline
from bench.report import Row, show
from bench.scale import scale
from bench.simulated import simulated
from bench.webhooks import webhooks

__all__ = ["BENCHES", "Bench", "main"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One benchmark.

    Attributes:
        run: measures; the argument says whether in the short form.
        about: a line for the help.
        always: whether it is part of a short run, too, when none is named.
    """

    run: Callable[[bool], list[Row]]
    about: str
    always: bool = True


BENCHES = {
    "pipeline": Bench(
        run=lambda short: pipeline(short=short),
        about="events a second on one core, from the socket to a reconcile, and other readers of the same stream",
    ),
    "memory": Bench(
        run=lambda short: memory(short=short), about="bytes of a cached Pod, and its objects the collector looks at"
    ),
    "simulated": Bench(
        run=lambda short: simulated(short=short), about="CPU and memory of 1,000 groups on the embedded cluster"
    ),
    "webhooks": Bench(
        run=lambda short: webhooks(short=short),
        about="conversion of 1,000 groups and of 1 MB, and the latency of the webhooks at 50 requests a second",
    ),
    "group": Bench(
        run=lambda _: groups(),
        about="requests of a group of 8 pods by verb and kind, and of 100 resyncs; starts a real control plane",
    ),
    "scale": Bench(
        run=lambda short: scale(short=short),
        about="100 groups of 6 pods under the real daemon, beside bare pods and Deployments; short only when named",
        always=False,
    ),
}

_EPILOG = """\
Counts are exact; one that is not what it must be makes the exit code 1. A rate or a time that misses its budget only
says NO: it depends on the machine, and on what else it does. Rates are events per second of CPU time of the reading
process; compare ratios within one run, not rates between runs.

The programs of the control plane are built once and kept (see hack/controlplane/README.md).

  python -m bench                        all of it, ten minutes on two cores
  python -m bench --short                five minutes, nothing that needs to be left alone
  python -m bench group --json out.json  one of them, its rows also as JSON
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen benchmarks; returns the exit code."""
    wanted = _parser().parse_args(arguments)
    names = wanted.names or [name for name, bench in BENCHES.items() if bench.always or not wanted.short]
    told = Console(stderr=True)
    rows: list[Row] = []
    for name in names:
        told.print(f"measuring {name} ...")
        rows += BENCHES[name].run(wanted.short)
    show(rows, Console(width=None if sys.stdout.isatty() else 160))
    if wanted.json is not None:
        wanted.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    return int(any(row.exact and row.met is False for row in rows))


def _parser() -> argparse.ArgumentParser:
    about = "\n".join(f"  {name:10} {bench.about}" for name, bench in BENCHES.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"What rbgctrl costs, measured on this machine.\n\n{about}",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name, help="which of these to run; all when none")
    parser.add_argument("--short", action="store_true", help="fewer rounds and objects; the same rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    return parser


def _name(text: str) -> str:
    if text not in BENCHES:
        raise argparse.ArgumentTypeError(f"there is no benchmark {text!r}; there are {', '.join(BENCHES)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
