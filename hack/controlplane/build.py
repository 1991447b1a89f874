"""Builds the programs of the control plane from pinned Go modules into a cache outside the checkout.

The cache folder is named by a hash of everything that goes into a build, so a change of a version builds anew and
two checkouts with the same pins share one build. One builder works at a time; a folder appears under its final
name only when it is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.controlplane import toolchain
from hack.controlplane.errors import BuildError
from hack.controlplane.progress import Progress

__all__ = ["MANIFESTS", "MODULES", "PROGRAMS", "Build", "Manifests", "Program", "cache_root", "ensure_built", "key"]

MODULES = Path(__file__).parent / "modules"
_GO_LOCK = Path(__file__).parents[2] / "requirements" / "go.lock"
_RECIPE = "1"  # raise it when the way of building changes and the inputs do not show it
_FLAGS = ("-buildvcs=false", "-trimpath")
_STRIP = "-s -w"


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A program to build: ``package`` as seen from the module folder ``modules/<module>``."""

    name: str
    module: str
    package: str
    ldflags: str = _STRIP


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifests:
    """YAML files to copy out of the Go module ``source``, required by ``modules/<module>``, into folder ``name``."""

    name: str
    module: str
    source: str
    files: tuple[str, ...]


def _kubernetes(name: str) -> Program:
    # `go build` of a dependency knows no version of its own; clients and the scheduler compare what this sets.
    version = {
        "k8s.io/component-base/version.gitVersion": "v1.36.3",
        "k8s.io/component-base/version.gitMajor": "1",
        "k8s.io/component-base/version.gitMinor": "36",
        "k8s.io/client-go/pkg/version.gitVersion": "v1.36.3",
    }
    ldflags = " ".join([_STRIP, *(f"-X {symbol}={value}" for symbol, value in version.items())])
    return Program(name=name, module="kubernetes", package=f"k8s.io/kubernetes/cmd/{name}", ldflags=ldflags)


PROGRAMS = (
    Program(name="etcd", module="etcd", package="."),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kubectl"),
    Program(name="kwok", module="kwok", package="sigs.k8s.io/kwok/cmd/kwok"),
    Program(name="lws", module="lws", package="sigs.k8s.io/lws/cmd"),
)

MANIFESTS = (
    Manifests(
        name="lws",
        module="lws",
        source="sigs.k8s.io/lws",
        files=(
            "config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml",
            "config/webhook/manifests.yaml",
            "config/webhook/mutating-patch.yaml",
            "config/webhook/validating-patch.yaml",
            "config/webhook/service.yaml",
        ),
    ),
    Manifests(
        name="scheduler-plugins",
        module="crds",
        source="sigs.k8s.io/scheduler-plugins",
        files=("config/crd/bases/scheduling.x-k8s.io_podgroups.yaml",),
    ),
)


@dataclass(frozen=True, slots=True)
class Build:
    """A finished build."""

    root: Path

    def program(self, name: str) -> Path:
        """The executable of ``name`` (see ``PROGRAMS``)."""
        return self.root / "bin" / name

    def manifests(self, name: str) -> Path:
        """The folder of the YAML files of ``name`` (see ``MANIFESTS``)."""
        return self.root / "manifests" / name


def cache_root() -> Path:
    """``$XDG_CACHE_HOME/rbgctrl/controlplane``, ``~/.cache`` where that is unset."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "rbgctrl" / "controlplane"


def key(modules: Path = MODULES, programs: Sequence[Program] = PROGRAMS, machine: str = "") -> str:
    """The name of the build made from these inputs: 16 hex digits.

    Args:
        modules: Folder of the Go modules; every file below it counts.
        programs: What is built from them, with its flags.
        machine: Processor architecture; of this machine by default.
    """
    digest = hashlib.sha256()
    for part in (_RECIPE, machine or platform.machine(), repr(_FLAGS), repr(tuple(programs)), repr(MANIFESTS)):
        digest.update(part.encode() + b"\0")
    for path in sorted(p for p in modules.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(modules)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def ensure_built(progress: Progress | None = None) -> Build:
    """The build of the pinned modules, made now if it is not in the cache.

    Blocks, for minutes the first time. Safe to call from several processes at once: one builds, the rest wait. An
    interrupted build is taken up where it stopped.

    Raises:
        BuildError: a Go command failed.
        ToolchainError: there is no suitable Go and none could be installed.
    """
    root = cache_root()
    final = root / key()
    if final.is_dir():
        return Build(final)
    root.mkdir(parents=True, exist_ok=True)
    progress = progress or Progress(len(PROGRAMS) + 1)
    with _only_builder(root / "lock", progress):
        if not final.is_dir():
            _build(root, final, progress)
    return Build(final)


def _build(root: Path, final: Path, progress: Progress) -> None:
    minimum = toolchain.required_version(MODULES.glob("*/go.mod"))
    progress.say(f"Building the control plane once, into {final} (5 to 15 minutes on two cores)")
    go = toolchain.go_on_path(minimum) or toolchain.install_go(root, _GO_LOCK, minimum, progress)
    partial = final.with_suffix(".partial")
    (partial / "bin").mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        with progress.step(program.name):
            _build_program(go, program, partial / "bin" / program.name)
    with progress.step("manifests of the foreign kinds"):
        for manifests in MANIFESTS:
            _copy_manifests(go, manifests, partial / "manifests" / manifests.name)
    partial.rename(final)


def _build_program(go: Path, program: Program, target: Path) -> None:
    if target.exists():  # an earlier, interrupted build got this far
        return
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    command = [str(go), "build", *_FLAGS, "-ldflags", program.ldflags, "-o", str(unfinished), program.package]
    _go(command, MODULES / program.module)
    unfinished.rename(target)


def _copy_manifests(go: Path, manifests: Manifests, target: Path) -> None:
    where = MODULES / manifests.module
    _go([str(go), "mod", "download", manifests.source], where)
    source = Path(_go([str(go), "list", "-m", "-f", "{{.Dir}}", manifests.source], where).strip())
    target.mkdir(parents=True, exist_ok=True)
    for name in manifests.files:
        shutil.copyfile(source / name, target / Path(name).name)


def _go(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=toolchain.go_environment())
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)} (in {cwd}) failed:\n{done.stderr[-4000:]}")
    return done.stdout


@contextmanager
def _only_builder(lock: Path, progress: Progress) -> Iterator[None]:
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("Another process is building the control plane: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
