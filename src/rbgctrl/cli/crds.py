"""``rbgctrl crds``: the CustomResourceDefinitions that belong to this version, printed or installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import typer

from rbgctrl import crds as shipped
from rbgctrl.api.core import CustomResourceDefinition
from rbgctrl.api.meta import Key
from rbgctrl.cli.errors import FAILED, OK, CliError
from rbgctrl.cli.options import Access
from rbgctrl.client.client import Client
from rbgctrl.client.errors import NotFoundError

__all__ = ["install", "manifests", "served", "submit", "text"]

_LOOK_AGAIN: Final = 0.2

Say = Callable[[str], None]


def text() -> str:
    """All of them as one YAML stream.

    Raises:
        CliError: the installation is broken.
    """
    return "".join(f"---\n{shipped.render(crd)}" for crd in manifests())


def manifests() -> list[dict[str, Any]]:
    """All of them as objects.

    Raises:
        CliError: the installation is broken.
    """
    found = list(shipped.documents())
    if not found:
        raise CliError("This installation of rbgctrl lacks its CRDs; install it again.", code=FAILED)
    return found


async def install(access: Access, *, within: float) -> int:
    """Apply them to a cluster and wait until it serves them; returns the exit code.

    Args:
        access: which cluster.
        within: seconds to wait.

    Raises:
        CliError: not served in time.
        ApiError: the cluster cannot be reached, or refuses.
    """
    found = manifests()
    async with access.connect() as client:
        await submit(client, found, say=typer.echo)
        await served(client, found, within=within)
    typer.echo(f"the cluster serves all {len(found)} kinds")
    return OK


async def submit(client: Client, crds: list[dict[str, Any]], *, say: Say = lambda _: None) -> None:
    """Apply CRDs by server-side apply.

    Args:
        client: of the cluster.
        crds: what to apply.
        say: told a line about each.

    Raises:
        ApiError: the server refuses one.
    """
    for crd in crds:
        name = crd["metadata"]["name"]
        await client.apply(CustomResourceDefinition, Key("", name), crd)
        say(f"applied {name}")


async def served(client: Client, crds: list[dict[str, Any]], *, within: float) -> None:
    """Return once every version of each CRD is served.

    Args:
        client: of the cluster.
        crds: which ones.
        within: seconds to wait.

    Raises:
        CliError: not served in time.
        ApiError: the server cannot be asked.
    """
    missing = [crd["metadata"]["name"] for crd in crds]
    try:
        async with asyncio.timeout(within):
            for crd in crds:
                while not await _served(client, crd):  # noqa: ASYNC110 - only the server knows
                    await asyncio.sleep(_LOOK_AGAIN)
                missing.remove(crd["metadata"]["name"])
    except TimeoutError:
        raise CliError(
            f"The cluster does not serve {', '.join(missing)} after {within:g} s; "
            f"see why with: kubectl describe crd {missing[0]}",
            code=FAILED,
        ) from None


async def _served(client: Client, crd: dict[str, Any]) -> bool:
    """Established, and listed: a moment lies between the two."""
    live = await client.get(CustomResourceDefinition, Key("", crd["metadata"]["name"]))
    if not any(condition.type == "Established" and condition.true for condition in live.status.conditions or ()):
        return False
    spec = crd["spec"]
    for version in spec["versions"]:
        if version["served"]:
            path = f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}"
            try:
                await client.get_raw(path, (("limit", "1"),))
            except NotFoundError:
                return False
    return True
