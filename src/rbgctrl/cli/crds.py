"""``rbgctrl crds``: the CustomResourceDefinitions that belong to this version, printed or installed.

Without the conversion webhook, which only an installation in the cluster has, the API server would store what a client
writes in an older version cut down to the fields that both have. So here an older version of a kind that changed is
served only where the cluster serves it already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec
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
    return "".join(f"---\n{shipped.render(_serving(crd))}" for crd in manifests())


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
        await client.apply(CustomResourceDefinition, Key("", name), _serving(crd, await _versions(client, name)))
        say(f"applied {name}")


def _serving(crd: dict[str, Any], already: Collection[str] = ()) -> dict[str, Any]:
    """The CRD, with only those versions served that need no conversion or are in ``already``."""
    versions = crd["spec"]["versions"]
    (stored,) = (version for version in versions if version["storage"])
    fields = _undescribed(stored["schema"])
    kept = [
        {
            **version,
            "served": version["served"] and (version["name"] in already or _undescribed(version["schema"]) == fields),
        }
        for version in versions
    ]
    return {**crd, "spec": {**crd["spec"], "versions": kept}}


def _undescribed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_undescribed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _undescribed(value)
        for name, value in schema.items()
        if name != "description" or not isinstance(value, str)
    }


async def _versions(client: Client, name: str) -> set[str]:
    """Names of the versions that the cluster serves of a CRD."""
    try:
        found = await client.get_raw(CustomResourceDefinition.KIND.path("", name))
    except NotFoundError:
        return set()
    return {version["name"] for version in msgspec.json.decode(found)["spec"]["versions"] if version["served"]}


async def served(client: Client, crds: list[dict[str, Any]], *, within: float) -> None:
    """Return once the version each CRD is stored in is served.

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
        if version["storage"]:
            path = f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}"
            try:
                await client.get_raw(path, (("limit", "1"),))
            except NotFoundError:
                return False
    return True
