"""kubectl, as it is built with the control plane."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hack.controlplane.build import ensure_built

__all__ = ["kubectl"]


async def kubectl(kubeconfig: Path, *arguments: str, stdin: str = "", fails: bool = False) -> str:
    """What it prints; its complaints when it is to fail."""
    process = await asyncio.create_subprocess_exec(
        ensure_built().program("kubectl"),
        *arguments,
        env={"KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate(stdin.encode())
    assert (process.returncode != 0) is fails, err.decode()
    return (err if fails else out).decode()
