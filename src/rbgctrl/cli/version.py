"""``rbgctrl version``."""

from __future__ import annotations

import platform
import sys

import msgspec
import typer

from rbgctrl.cli.options import Access, Output
from rbgctrl.version import __version__

__all__ = ["ServerVersion", "Versions", "show"]


class ServerVersion(msgspec.Struct, frozen=True, rename="camel"):
    """The cluster's version: as ``git_version`` like ``v1.36.3``, and the URL it was asked at."""

    git_version: str
    url: str = ""


class Versions(msgspec.Struct, frozen=True, rename="camel"):
    """What ``-o json`` prints; ``server`` is null unless asked for."""

    rbgctrl: str
    python: str
    platform: str
    server: ServerVersion | None = None


async def show(output: Output, access: Access | None) -> int:
    """Print versions; with ``access`` also the cluster's. Returns the exit code.

    Raises:
        ApiError: the server cannot be asked.
    """
    versions = Versions(
        rbgctrl=__version__,
        python=platform.python_version(),
        platform=f"{sys.platform}/{platform.machine()}",
        server=await _server(access) if access is not None else None,
    )
    if output is Output.JSON:
        typer.echo(msgspec.json.format(msgspec.json.encode(versions), indent=2))
        return 0
    typer.echo(f"rbgctrl     {versions.rbgctrl}\npython      {versions.python}\nplatform    {versions.platform}")
    if versions.server is not None:
        typer.echo(f"kubernetes  {versions.server.git_version} at {versions.server.url}")
    return 0


async def _server(access: Access) -> ServerVersion:
    async with access.connect() as client:
        found = msgspec.json.decode(await client.get_raw("/version"), type=ServerVersion)
        return ServerVersion(git_version=found.git_version, url=client.server)
