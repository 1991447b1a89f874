"""``python -m hack.controlplane``: a control plane to keep, for trying things by hand.

Exit codes: 0 done, 1 failed (the reason is on standard error), 2 wrong use, 3 (``status``, ``env``) not up.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hack.controlplane.build import ensure_built
from hack.controlplane.cluster import Cluster, ClusterOptions
from hack.controlplane.components import NAMES, Layout
from hack.controlplane.errors import ControlPlaneError
from hack.controlplane.progress import format_seconds
from hack.controlplane.state import Ledger, is_alive

__all__ = ["app"]

_CHECKOUT = Path(__file__).parents[2]
_CRDS = _CHECKOUT / "config" / "crd"

app = typer.Typer(add_completion=False, no_args_is_help=True, help="A real control plane on this machine.")
err = Console(stderr=True, highlight=False, soft_wrap=True)

State = Annotated[Path, typer.Option("--state", help="Folder of the cluster; one cluster per folder.")]
_STATE = _CHECKOUT / ".state" / "cluster"


@app.command()
def build() -> None:
    """Builds the programs unless they are in the cache; prints the folder."""
    print(ensure_built().root)


@app.command()
def up(
    state: State = _STATE,
    nodes: Annotated[int, typer.Option(min=0, help="Fake GPU nodes, 8 GPUs each, 4 to an NVLink domain.")] = 8,
    lws: Annotated[bool, typer.Option(help="Run the LeaderWorkerSet controller.")] = True,
    audit: Annotated[bool, typer.Option(help="Log every request to logs/audit.log in the state folder.")] = False,
) -> None:
    """Starts a cluster that stays until `down`."""
    ledger = Ledger(state.resolve())
    if ledger.alive() and ledger.kubeconfig():
        err.print(f"A cluster is already up in {state}.")
        _next_steps(ledger)
        return
    ledger.end_all()  # leftovers of a start that was interrupted
    began = time.monotonic()
    options = ClusterOptions(nodes=nodes, lws=lws, audit=audit, crds=(_CRDS,), detached=True)
    asyncio.run(Cluster(options, state=state).start())
    err.print(f"Up after {format_seconds(time.monotonic() - began)}: {', '.join(r.name for r in ledger.alive())}.")
    _next_steps(ledger)


@app.command()
def down(state: State = _STATE) -> None:
    """Stops the cluster: only processes that `up` started, whatever their pids belong to now. Logs stay."""
    layout = Layout(state.resolve())
    ended = Ledger(layout.root).end_all(grace=5.0)
    layout.discard()
    err.print(f"Stopped {', '.join(ended)}." if ended else "Nothing was running.")


@app.command()
def status(state: State = _STATE) -> None:
    """Says what runs; exit code 3 unless all of it does."""
    ledger = Ledger(state.resolve())
    records = {record.name: record for record in ledger.records()}
    table = Table("component", "pid", "state")
    for name in (n for n in NAMES if n in records):
        table.add_row(name, str(records[name].pid), "running" if is_alive(records[name]) else "ended")
    up = bool(records) and all(map(is_alive, records.values())) and bool(ledger.kubeconfig())
    if records:
        err.print(table)
    err.print(f"Up: {ledger.kubeconfig()}" if up else f"No cluster is up in {state}.")
    raise typer.Exit(0 if up else 3)


@app.command()
def env(state: State = _STATE) -> None:
    """Prints shell commands for `eval`: which cluster kubectl and rbgctrl talk to."""
    ledger = Ledger(state.resolve())
    if not ledger.alive() or not ledger.kubeconfig():
        err.print(f"No cluster is up in {state}.")
        raise typer.Exit(3)
    print(f"export KUBECONFIG={shlex.quote(ledger.kubeconfig())}")


def _next_steps(ledger: Ledger) -> None:
    kubeconfig = ledger.kubeconfig()
    print(kubeconfig)
    err.print(f"Use it:   export KUBECONFIG={shlex.quote(kubeconfig)}")
    err.print(f"Logs:     {Path(kubeconfig).parent / 'logs'}")
    err.print("Stop it:  make cluster-down")


def main() -> None:
    """Runs the command line; failures are one message, not a trace."""
    try:
        app(prog_name="python -m hack.controlplane")
    except ControlPlaneError as error:
        err.print("[bold red]Failed:[/] ", end="")
        err.print(str(error), markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
