"""The CustomResourceDefinitions this controller needs, as shipped with it.

The files are generated from the models in ``rbgctrl.api``; ``config/crd`` holds the same ones for kustomize.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, cast

import msgspec
import yaml

__all__ = ["documents", "text"]


def text() -> str:
    """All CRDs as one YAML stream, ready for ``kubectl apply --server-side -f -``."""
    found = sorted(item.name for item in files(__name__).iterdir() if item.name.endswith(".yaml"))
    return "---\n".join(files(__name__).joinpath(name).read_text(encoding="utf-8") for name in found)


def documents() -> tuple[dict[str, Any], ...]:
    """All CRDs as JSON values, each fresh for the caller to change."""
    return tuple(cast("list[dict[str, Any]]", msgspec.json.decode(_parsed())))


@cache
def _parsed() -> bytes:
    """As JSON: parsing the YAML takes a fifth of a second, and whoever simulates asks for it a hundred times."""
    return msgspec.json.encode(list(yaml.safe_load_all(text())))
