from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rbgctrl

SOURCE = Path(rbgctrl.__file__)


def test_every_exported_name_exists_and_none_is_missing_from_the_list() -> None:
    for name in rbgctrl.__all__:
        assert getattr(rbgctrl, name) is not None
    homes = {*rbgctrl._HOME, *rbgctrl._MODULES, "__version__"}
    assert sorted(rbgctrl.__all__) == sorted(homes)


def test_type_checkers_see_the_same_names_as_programs() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(rbgctrl.__all__) - {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = rbgctrl.nonsense


@pytest.mark.parametrize("module", ["kubernetes_asyncio", "aiohttp", "pydantic", "uvloop", "rbgctrl.sim"])
def test_importing_the_package_imports_nothing_heavy(module: str) -> None:
    program = f"import sys, rbgctrl; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603 - this interpreter


@pytest.mark.parametrize("module", ["kubernetes_asyncio", "rbgctrl.sim"])
def test_the_whole_library_needs_no_generated_client_and_no_simulator(module: str) -> None:
    program = (
        "import sys, rbgctrl; [getattr(rbgctrl, name) for name in rbgctrl.__all__]; "
        f"sys.exit({module!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603 - this interpreter


def test_every_module_says_what_it_exports() -> None:
    silent = [
        str(path.relative_to(SOURCE.parent))
        for path in sorted(SOURCE.parent.rglob("*.py"))
        if path.name != "__main__.py"
        and "__all__" not in (text := path.read_text(encoding="utf-8"))
        and len(text.splitlines()) > 5
    ]
    assert silent == []
