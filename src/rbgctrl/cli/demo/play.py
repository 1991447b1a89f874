"""The demo from start to end. Whatever happens, nothing that it started is left running."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager, suppress
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
from rbgctrl.cli.demo.cluster import CLUSTERS, NODES, DemoCluster, cluster_of
from rbgctrl.cli.errors import FAILED, OK, CliError
from rbgctrl.cli.following import follow
from rbgctrl.cli.loading import NodeBook, Scope, load
from rbgctrl.cli.options import Access
from rbgctrl.cli.rendering import group_lines
from rbgctrl.cli.views import GroupView
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
        cluster: which kind of cluster, ``embedded`` or ``real``.
        keep: leave everything running until interrupted.
        state: folder for kubeconfig, logs and data; ``""`` for a temporary one, removed unless something failed.
        timeout: seconds the group may take to become Ready.
        debug: log at level debug.
    """

    cluster: str = CLUSTERS[0]
    keep: bool = False
    state: str = ""
    timeout: float = 120.0
    debug: bool = False


def demo(request: DemoRequest) -> int:
    """Play the demo; returns the exit code.

    Raises:
        CliError: it cannot be played here, or something did not start.
    """
    began = time.monotonic()
    make, example = cluster_of(request.cluster), _example(checkout.example())
    state = Path(request.state or tempfile.mkdtemp(prefix="rbgctrl-demo-")).resolve()
    state.mkdir(parents=True, exist_ok=True)
    try:
        cluster = make(state)
        cluster.prepare()
        daemon = Daemon(cluster.kubeconfig, state / "daemon.log", ("--log-level", "debug") if request.debug else ())
        stage = _Stage(request=request, cluster=cluster, daemon=daemon, example=example, began=began)
        code = asyncio.run(_main(stage))
    except CliError as error:
        raise CliError(f"{error}\nAll logs: {state}", code=error.code) from error
    finally:
        with suppress(OSError):
            state.rmdir()  # when nothing was written
    if not request.state:
        shutil.rmtree(state, ignore_errors=True)
    return code


def _example(text: str) -> dict[str, Any]:
    """The example group.

    Raises:
        CliError: the text is not one RoleBasedGroup.
    """
    found = [document for document in yaml.safe_load_all(text) if document]
    if len(found) != 1 or found[0].get("kind") != RoleBasedGroup.KIND.kind:
        path = checkout.EXAMPLE
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """What the play is set on; ``began`` is when, in the monotonic clock's seconds."""

    request: DemoRequest
    cluster: DemoCluster
    daemon: Daemon
    example: dict[str, Any]
    began: float

    @property
    def key(self) -> Key:
        """Of the example group."""
        metadata = self.example["metadata"]
        return Key(metadata.get("namespace", "default"), metadata["name"])


async def _main(stage: _Stage) -> int:
    with _Ending() as ending:
        try:
            await _play(stage, ending)
        except asyncio.CancelledError:
            if ending.number is None:
                raise
            typer.echo("Stopped.", err=True)
            return ending.code
    return OK


async def _play(stage: _Stage, ending: _Ending) -> None:
    async with AsyncExitStack() as stack:
        with board() as shown:
            with shown.step(stage.cluster.title):
                await stage.cluster.start()
            # Not before: a start that fails cleans up itself, and the folder may be that of another demo.
            stack.push_async_callback(stage.cluster.stop)
            access = Access(kubeconfig=str(stage.cluster.kubeconfig), debug=stage.request.debug)
            client = await stack.enter_async_context(access.connect())
            stack.push_async_callback(stage.daemon.stop)
            await _furnish(stage, client, shown)
            async with _alive(stage.daemon):
                applied = time.monotonic()
                await client.apply(RoleBasedGroup, stage.key, stage.example, field_manager="rbgctrl-demo")
                group = await _until_ready(stage, client, shown)
                ready = time.monotonic()
        _show(group)
        if not group.ready:
            raise CliError(_late(stage), code=FAILED)
        pods = sum(len(instance.pods) for role in group.roles for instance in role.instances or ())
        typer.echo(
            f"\n{group.name} is Ready: {pods} pods, {ready - applied:.1f} s after it was applied and "
            f"{ready - stage.began:.1f} s after the start of the demo."
        )
        if stage.request.keep:
            _explain(stage)
            async with _alive(stage.daemon):
                await ending.wait()
            typer.echo("\nStopping.")


async def _furnish(stage: _Stage, client: Client, shown: Board) -> None:
    """Nodes, CRDs and the daemon, side by side; the daemon waits until CRDs that exist are served."""

    async def nodes() -> None:
        with shown.step(_NODES):
            await stage.cluster.add_nodes()

    async def daemon() -> None:
        with shown.step(_DAEMON):
            await stage.daemon.start()
            await stage.daemon.wait_ready(_START)

    with _first_of_group():
        async with asyncio.TaskGroup() as group:
            group.create_task(nodes(), name="nodes")
            with shown.step(_CRDS):
                found = crds.manifests()
                await crds.submit(client, found)
                group.create_task(daemon(), name="daemon")
                await crds.served(client, found, within=_START)


async def _until_ready(stage: _Stage, client: Client, shown: Board) -> GroupView:
    """The group when it is Ready, or when time is up."""
    scope = Scope(namespace=stage.key.namespace, name=stage.key.name)
    book = NodeBook(client)
    with suppress(TimeoutError), shown.step(f"{stage.key.name} Ready"):
        async with asyncio.timeout(stage.request.timeout), aclosing(follow(client, scope, book)) as states:
            async for groups in states:
                for group in groups:
                    shown.roles(group)
                    if group.ready:
                        return group
    return (await load(client, scope, book))[0]


@asynccontextmanager
async def _alive(daemon: Daemon) -> AsyncIterator[None]:
    """Runs the body as long as the daemon lives; ends it with a CliError otherwise."""
    with _first_of_group():
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(daemon.watch(), name="daemon")
            yield
            watch.cancel()


@contextmanager
def _first_of_group() -> Iterator[None]:
    """Unpacks what a task group packs: one sentence is enough, and it is the first that explains the others."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


# What is said ---------------------------------------------------------------------------------------------------------


def _show(group: GroupView) -> None:
    terminal = consoles.console() if consoles.is_terminal() else None
    typer.echo()
    consoles.print_lines(group_lines(group, consoles.look(terminal)), terminal)


def _late(stage: _Stage) -> str:
    return (
        f"{stage.key.name} is not Ready after {stage.request.timeout:g} s; the tree above shows what is missing. "
        f"The log of the daemon ends with:\n{stage.daemon.log_tail()}"
    )


def _explain(stage: _Stage) -> None:
    """How to play on."""
    ours = "rbgctrl" if shutil.which("rbgctrl") else f"{sys.executable} -m rbgctrl"
    name, namespace = stage.key.name, stage.key.namespace
    lines = [
        "Everything keeps running until Ctrl-C. In another terminal:",
        "",
        f"  export KUBECONFIG={shlex.quote(str(stage.cluster.kubeconfig))}",
        f"  {ours} tree {name} -n {namespace} --watch",
    ]
    if shutil.which("kubectl"):
        lines += [
            f"  kubectl -n {namespace} get rbg,roleinstancesets,roleinstances,pods",
            f"  kubectl -n {namespace} edit rbg {name}",
        ]
    lines.append(f"  tail -f {shlex.quote(str(stage.daemon.log))}")
    typer.echo("\n".join(["", *lines]))
