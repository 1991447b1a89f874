"""The Dockerfile, as far as it can be judged without an engine: its sources, its user, its pins, and what it builds."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "Dockerfile").read_text()
STEPS = [line.split(maxsplit=1) for line in TEXT.splitlines() if line and not line.startswith("#")]


def steps(word: str) -> list[str]:
    return [rest for first, rest in STEPS if first == word]


def sources() -> list[str]:
    """What is copied from the checkout."""
    return [name for rest in steps("COPY") if not rest.startswith("--from") for name in rest.split()[:-1]]


def test_every_file_that_is_copied_exists_and_reaches_the_engine() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    for name in sources():
        assert (ROOT / name).exists(), name
        assert any(fnmatch.fnmatch(name, pattern) for pattern in kept), name


def test_base_images_are_named_without_a_registry_and_both_stages_run_the_same_python() -> None:
    images = [rest.split()[0] for rest in steps("FROM")]
    assert len(set(images)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim", images[0])


def test_it_runs_as_nobody_in_particular_and_starts_the_daemon() -> None:
    assert steps("USER") == ["65532:65532"]
    (entry,) = steps("ENTRYPOINT")
    assert STEPS.index(["USER", "65532:65532"]) < STEPS.index(["ENTRYPOINT", entry])
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert entry.strip('[]"') in scripts
    assert steps("CMD") == ['["run"]']


def test_whatever_comes_from_an_index_is_pinned_by_hash() -> None:
    installs = [part for rest in steps("RUN") for part in rest.split("&&") if " install " in part]
    assert len(installs) == 3
    for part in installs:
        assert "--require-hashes" in part or "--no-index" in part, part
    for name in ("runtime.lock", "build.lock"):
        lines = (ROOT / "requirements" / name).read_text().splitlines()
        pins = [line for line in lines if line and not line.startswith((" ", "#"))]
        assert pins
        assert all("==" in line and line.endswith("\\") for line in pins)


@pytest.mark.timeout(120)
def test_the_copied_files_are_enough_to_build_the_package(tmp_path: Path) -> None:
    for name in sources():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, target)
    assert any("-m hatchling build --target wheel" in rest for rest in steps("RUN"))
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)  # noqa: S603 - this interpreter
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "rbgctrl/cli/demo/prefill-decode.yaml" in names
    assert any(name.startswith("rbgctrl/crds/workloads.x-k8s.io_rolebasedgroups.") for name in names)
    assert any(name.endswith("entry_points.txt") for name in names)
