"""The demo from start to end. Whatever happens, nothing that it started is left running."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer
import yaml

from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key
from rbgctrl.cli import console as consoles
from rbgctrl.cli import crds
from rbgctrl.cli.demo import checkout
from rbgctrl.cli.demo.board import Board, board
from rbgctrl.cli.demo.child import Daemon
from rbgctrl.cli.demo.cluster import NODES, DemoCluster, RealCluster
from rbgctrl.cli.errors import FAILED, OK, CliError
from rbgctrl.cli.following import follow
from rbgctrl.cli.loading import NodeBook, Scope, load
from rbgctrl.cli.options import Access
from rbgctrl.cli.rendering import group_lines
from rbgctrl.cli.summary import GroupView
from rbgctrl.client.client import Client

__all__ = ["DemoRequest", "demo"]

_START: Final = 60.0
_NODES = f"{NODES} GPU nodes in two NVLink domains"
_CRDS = "CRDs"
_DAEMON = "daemon"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRequest:
    """What to play.

    Attributes:
        cluster: which kind of cluster; only ``real``.
        keep: leave everything running until interrupted.
        state: folder for kubeconfig, logs and data; ``""`` for a temporary one, removed unless something failed.
        timeout: seconds the group may take to become Ready.
        debug: log at level debug.
    """

    cluster: str = "real"
    keep: bool = False
    state: str = ""
    timeout: float = 120.0
    debug: bool = False


def demo(request: DemoRequest) -> int:
    """Play the demo; returns the exit code.

    Raises:
        CliError: it cannot be played here, or something did not start.
    """
    if request.cluster != "real":
        raise CliError(f"There is no cluster {request.cluster!r}; this version has only: --cluster real")
    root = checkout.find()
    state = Path(request.state or tempfile.mkdtemp(prefix="rbgctrl-demo-")).resolve()
    state.mkdir(parents=True, exist_ok=True)
    cluster = RealCluster(root, state)
    try:
        cluster.prepare()
        code = asyncio.run(_main(request, cluster, _example(root), state))
    except CliError as error:
        raise CliError(f"{error}\nAll logs: {state}", code=error.code) from error
    if not request.state and code != FAILED:
        shutil.rmtree(state, ignore_errors=True)
    return code


def _example(root: Path) -> dict[str, Any]:
    """The example group.

    Raises:
        CliError: the file is not one RoleBasedGroup.
    """
    path = root / checkout.EXAMPLE
    found = [document for document in yaml.safe_load_all(path.read_text("utf-8")) if document]
    if len(found) != 1 or found[0].get("kind") != RoleBasedGroup.KIND.kind:
        raise CliError(f"{path} must hold one {RoleBasedGroup.KIND.kind}; restore it with: git checkout {path}")
    manifest: dict[str, Any] = found[0]
    return manifest


# Signals --------------------------------------------------------------------------------------------------------------


class _Ending:
    """The first signal ends the demo in good order, the second at once; the kernel then ends what was started."""

    HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.number: signal.Signals | None = None
        self._task = asyncio.current_task()

    def __enter__(self) -> _Ending:
        for number in self.HANDLED:
            asyncio.get_running_loop().add_signal_handler(number, self._receive, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self.HANDLED:
            asyncio.get_running_loop().remove_signal_handler(number)

    @property
    def code(self) -> int:
        """Exit code of a program that a signal ended."""
        return 128 + (self.number or 0)

    async def wait(self) -> None:
        """Return when told to stop, which is then the way this was meant to end."""
        task, self._task = self._task, None
        await self.asked.wait()
        self._task = task

    def _receive(self, number: signal.Signals) -> None:
        if self.number is not None:
            os._exit(128 + number)
        self.number = number
        self.asked.set()
        if self._task is not None:
            self._task.cancel()


# The play -------------------------------------------------------------------------------------------------------------


async def _main(request: DemoRequest, cluster: DemoCluster, example: dict[str, Any], state: Path) -> int:
    with _Ending() as ending:
        try:
            return await _play(request, cluster, example, state, ending)
        except asyncio.CancelledError:
            if ending.number is None:
                raise
            typer.echo("Stopped.", err=True)
            return ending.code


async def _play(
    request: DemoRequest, cluster: DemoCluster, example: dict[str, Any], state: Path, ending: _Ending
) -> int:
    began = time.monotonic()
    daemon = Daemon(cluster.kubeconfig, state / "daemon.log", ("--log-level", "debug") if request.debug else ())
    key = Key(example["metadata"].get("namespace", "default"), example["metadata"]["name"])
    async with AsyncExitStack() as stack:
        with board() as shown:
            stack.push_async_callback(cluster.stop)
            with shown.step(cluster.title):
                await cluster.start()
            client = await stack.enter_async_context(
                Access(kubeconfig=str(cluster.kubeconfig), debug=request.debug).connect()
            )
            stack.push_async_callback(daemon.stop)
            await _furnish(cluster, client, daemon, shown)
            applied = time.monotonic()
            await client.apply(RoleBasedGroup, key, example, field_manager="rbgctrl-demo")
            group, ready = await _until_ready(client, key, daemon, shown, request.timeout)
        took = time.monotonic() - applied
        _show(group)
        if not ready:
            raise CliError(_late(key, daemon, request.timeout), code=FAILED)
        pods = sum(len(instance.pods) for role in group.roles for instance in role.instances or ())
        typer.echo(
            f"\n{key.name} is Ready: {pods} pods, {took:.1f} s after it was applied, "
            f"{time.monotonic() - began:.1f} s after the start of the demo."
        )
        if request.keep:
            _explain(cluster, key, daemon, state)
            async with _running(daemon.watch()) as ended:
                await _first(ending.wait(), ended)
            typer.echo("\nStopping.")
    return OK


async def _furnish(cluster: DemoCluster, client: Client, daemon: Daemon, shown: Board) -> None:
    """Nodes beside CRDs and the daemon, which needs the CRDs."""

    async def nodes() -> None:
        with shown.step(_NODES):
            await cluster.add_nodes()

    async def controllers() -> None:
        with shown.step(_CRDS):
            await crds.apply(client, crds.manifests(), within=_START)
        with shown.step(_DAEMON):
            await daemon.start()
            await daemon.wait_ready(_START)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(nodes(), name="nodes")
            group.create_task(controllers(), name="controllers")
    except* CliError as failed:
        raise failed.exceptions[0] from None


async def _until_ready(
    client: Client, key: Key, daemon: Daemon, shown: Board, within: float
) -> tuple[GroupView, bool]:
    """The group when it is Ready, or when time is up; and which of the two."""
    scope = Scope(namespace=key.namespace, name=key.name)
    book = NodeBook(client)
    last: GroupView | None = None
    with shown.step(f"{key.name} Ready"):
        async with _running(daemon.watch()) as ended, aclosing(follow(client, scope, book)) as states:
            try:
                async with asyncio.timeout(within):
                    while last is None or not last.ready:
                        groups = await _first(anext(states), ended)
                        last = groups[0] if groups else last
                        if last is not None:
                            shown.roles(last)
            except TimeoutError:
                return last or (await load(client, scope, book))[0], False
    return last, True
