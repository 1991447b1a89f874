"""Names of live objects for the shell's completion: quick, silent, and never an error."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["group_names"]

_PATIENCE: Final = 2.0


def group_names(parameters: Mapping[str, Any], incomplete: str) -> list[str]:
    """Names of the groups in the namespace named on the command line that begin with ``incomplete``.

    Args:
        parameters: of the command as far as it is typed.
        incomplete: the beginning of a name.

    Returns:
        Names, sorted; none when the cluster cannot be asked within two seconds.
    """
    try:
        return asyncio.run(_names(parameters, incomplete))
    except Exception:  # noqa: BLE001 - a message would end up in the middle of the user's command line
        return []


async def _names(parameters: Mapping[str, Any], incomplete: str) -> list[str]:
    from rbgctrl.api.groups import RoleBasedGroup  # noqa: PLC0415 - a shell waits; failing early must stay cheap
    from rbgctrl.cli.options import Access  # noqa: PLC0415 - the same

    access = Access(kubeconfig=parameters.get("kubeconfig") or "", context=parameters.get("context") or "")
    async with asyncio.timeout(_PATIENCE), access.connect() as client:
        page = await client.list(RoleBasedGroup, parameters.get("namespace") or client.namespace)
        names = [group.key.name for group in page.items] + [broken.key.name for broken in page.invalid]
        return sorted(name for name in names if name.startswith(incomplete))
