"""Renders what we use of kustomize, where there is no kubectl: resources, images and patches.

A test tool, not a kustomize: anything it does not know is an error, so that no file means two things. JSON patches
have the operation ``add``; other patches may only delete an object.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = ["render"]

Manifest = dict[str, Any]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # CRDs are megabytes
_KEYS = {"apiVersion", "kind", "resources", "images", "patches"}


def render(folder: Path) -> list[Manifest]:
    """The objects of a kustomization, namespaces and CRDs first, as ``kubectl apply -k`` would send them.

    Args:
        folder: Holds a ``kustomization.yaml``.

    Raises:
        ValueError: It uses something this does not know, or a patch that fits nothing.
    """
    first = ("Namespace", "CustomResourceDefinition", "ServiceAccount")
    ranks = {kind: rank for rank, kind in enumerate(first)}
    return sorted(_rendered(folder.resolve()), key=lambda item: ranks.get(item["kind"], len(first)))


def _rendered(folder: Path) -> list[Manifest]:
    told = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := told.keys() - _KEYS:
        raise ValueError(f"{folder}: {', '.join(sorted(unknown))} is not known here")
    found = [item for name in told.get("resources", ()) for item in _load((folder / name).resolve())]
    for image in told.get("images", ()):
        _retag(found, image)
    for patch in told.get("patches", ()):
        text = patch.get("patch") or (folder / patch["path"]).read_text()
        found = _patched(found, yaml.safe_load(text), patch.get("target"))
    return found


def _load(path: Path) -> list[Manifest]:
    return (
        _rendered(path) if path.is_dir() else [item for item in yaml.load_all(path.read_text(), Loader=_Loader) if item]
    )


def _retag(found: list[Manifest], image: dict[str, str]) -> None:
    for item in found:
        for container in _containers(item):
            name, _, tag = container["image"].partition(":")
            if name == image["name"]:
                container["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"


def _containers(item: Manifest) -> Iterator[dict[str, Any]]:
    template = item.get("spec", {}).get("template", {}) if item["kind"] == "Deployment" else {}
    yield from template.get("spec", {}).get("containers", ())


def _patched(found: list[Manifest], patch: Any, target: dict[str, str] | None) -> list[Manifest]:
    if isinstance(patch, list):
        wanted = target or {}
        fitting = [item for item in found if _is(item, wanted.get("kind"), wanted.get("name"))]
        for item in fitting:
            for step in patch:
                _add(item, step)
    elif patch.get("$patch") == "delete":
        fitting = [item for item in found if _is(item, patch["kind"], patch["metadata"]["name"])]
        found = [item for item in found if item not in fitting]
    else:
        raise ValueError(f"a patch that merges is not known here: {patch}")
    if not fitting:
        raise ValueError(f"a patch fits nothing: {target or patch['metadata']}")
    return found


def _is(item: Manifest, kind: str | None, name: str | None) -> bool:
    return (item["kind"], item["metadata"]["name"]) == (kind, name)


def _add(item: Manifest, step: dict[str, Any]) -> None:
    if step["op"] != "add":
        raise ValueError(f"the operation {step['op']} is not known here")
    *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:])
    at: Any = item
    for part in parents:
        at = at[int(part)] if isinstance(at, list) else at[part]
    value = copy.deepcopy(step["value"])
    if not isinstance(at, list):
        at[last] = value
    else:
        at.insert(len(at) if last == "-" else int(last), value)
