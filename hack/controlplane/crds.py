"""Installs CustomResourceDefinitions and waits until their kinds can be used."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from hack.controlplane.api import Api, Manifest, load_yaml
from hack.controlplane.errors import HttpError
from hack.controlplane.waiting import eventually

__all__ = ["FOREIGN", "install", "load", "without_conversion_webhook"]

FOREIGN = Path(__file__).with_name("crds")
"""Kinds of other projects that are only stored, never acted on, in the form our controllers use."""

_CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")


def load(paths: Iterable[Path]) -> list[Manifest]:
    """The CRDs in these files, and in the ``*.yaml`` files below these folders; anything else is left out."""
    files = [file for path in paths for file in (sorted(path.rglob("*.yaml")) if path.is_dir() else [path])]
    found = [document for file in files for document in load_yaml(file.read_text())]
    return [d for d in found if isinstance(d, dict) and d.get("kind") == _CRD[1]]


def without_conversion_webhook(crd: Manifest) -> Manifest:
    """A copy that converts by changing ``apiVersion`` only, for clusters where no webhook runs."""
    crd = copy.deepcopy(crd)
    crd["spec"]["conversion"] = {"strategy": "None"}
    return crd


async def install(api: Api, crds: Sequence[Manifest], *, within: float = 30.0) -> None:
    """Applies ``crds`` and waits until the API server serves each of them.

    Raises:
        DeadlineError: one is not served in time.
        HttpError: the API server refuses one.
    """
    await asyncio.gather(*(api.apply(crd) for crd in crds))
    for crd in crds:
        name = crd["metadata"]["name"]
        await eventually(partial(_established, api, name), within, what=f"CRD {name} Established")
        for version in crd["spec"]["versions"]:
            if version["served"]:
                await _served(api, crd, version["name"], within)


async def _established(api: Api, name: str) -> bool:
    crd = await api.get(*_CRD, name)
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


async def _served(api: Api, crd: Manifest, version: str, within: float) -> None:
    # Established precedes discovery by a moment; a list answers 404 until both agree.
    spec = crd["spec"]
    path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
    await eventually(
        lambda: api.request("GET", path, params={"limit": "1"}),
        within,
        what=f"{path} served",
        retry_on=(HttpError,),
    )
