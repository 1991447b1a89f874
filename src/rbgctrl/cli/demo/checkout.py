"""Finds what the demo needs beside code: the example, and for the real cluster the source checkout."""

from __future__ import annotations

import importlib
import importlib.resources
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import rbgctrl
from rbgctrl.cli.errors import CliError

__all__ = ["EXAMPLE", "example", "find", "load"]

EXAMPLE = Path("examples", "prefill-decode.yaml")
"""The example group, as seen from the checkout."""
_MARKS = (Path("hack", "controlplane", "__init__.py"), EXAMPLE)


def find(starts: Iterable[Path] | None = None) -> Path:
    """The root of the checkout.

    Args:
        starts: folders to begin at; each of their parents is tried. Where the package is, and the working directory.

    Raises:
        CliError: there is none.
    """
    for start in starts if starts is not None else (Path(rbgctrl.__file__).parent, Path.cwd()):
        for folder in (start, *start.parents):
            if all((folder / mark).is_file() for mark in _MARKS):
                return folder
    raise CliError(
        "The demo's real control plane is part of the source tree, not of the installed package: clone the repository "
        "and run there: make demo ARGS='--cluster real'. Everywhere else, run: rbgctrl demo"
    )


def example() -> str:
    """The text of the example group: an installed package has it inside, a checkout beside the package.

    Raises:
        CliError: it is nowhere.
    """
    packaged = importlib.resources.files("rbgctrl.cli.demo") / EXAMPLE.name
    if packaged.is_file():
        return packaged.read_text("utf-8")
    return (find() / EXAMPLE).read_text("utf-8")


def load(root: Path, name: str) -> Any:
    """A module of the checkout's ``hack`` package. Nothing else in this package may depend on that one."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return importlib.import_module(f"hack.controlplane.{name}" if name else "hack.controlplane")
