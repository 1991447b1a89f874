"""What the documents say exists, and what they show runs."""

from __future__ import annotations

import ast
import functools
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog
from typer.main import get_command

from rbgctrl.cli.app import application

ROOT = Path(__file__).parents[3]
TREES = ("bench", "docs", "examples", "hack", "requirements", "src", "tests")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for tree in TREES for path in (ROOT / tree).rglob("*.md"))])
EMBEDDED = ROOT / "examples" / "embedded.py"

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^|(?<=\n\n))((?:    \S.*\n)+)", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"(?:bench|config|docs|examples|hack|requirements|src|tests)/[\w./-]*\w/?")
_TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    text: str


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


documents = pytest.mark.parametrize("document", DOCUMENTS, ids=name)


@functools.cache
def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


@functools.cache
def blocks(document: Path) -> tuple[Block, ...]:
    return tuple(Block(found[2], found[3]) for found in _FENCE.finditer(text(document)))


@functools.cache
def prose(document: Path) -> str:
    """The document without its fenced blocks."""
    return _FENCE.sub("", text(document))


@functools.cache
def code(document: Path) -> tuple[str, ...]:
    """Every line of code: spans, indented lines and blocks that are no Python."""
    spans = [found[1] for found in _SPAN.finditer(prose(document))]
    indented = [line.strip() for found in _INDENTED.finditer(prose(document)) for line in found[1].splitlines()]
    fenced = [line for block in blocks(document) if block.language != "python" for line in block.text.splitlines()]
    return (*spans, *indented, *fenced)


def commands(document: Path, program: str) -> Iterator[list[str]]:
    """The arguments of each call of ``program`` shown anywhere in the document."""
    for line in code(document):
        unquoted = re.sub(r"""\"[^\"]*\"|'[^']*'""", "...", line.partition("#")[0])
        for call in re.split(r"&&|[|;]", unquoted):
            words = call.split()
            if words and Path(words[0]).name == program:
                yield words[1:]


@functools.cache
def functions(test_file: Path) -> frozenset[str]:
    tree = ast.parse(test_file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_documents_are_found() -> None:
    found = {name(path) for path in DOCUMENTS}
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/compat.md"} <= found
    assert len([path for path in found if path.startswith("docs/design/")]) >= 6


@documents
def test_every_relative_link_leads_to_something(document: Path) -> None:
    targets = [target for target in _LINK.findall(prose(document)) if not re.match(r"[a-z]+:", target)]
    assert [target for target in targets if not (document.parent / target.partition("#")[0]).exists()] == []


@documents
def test_every_path_named_in_code_exists(document: Path) -> None:
    named = {found for line in code(document) for found in _PATH.findall(line) if not re.search(rf"\S{found}", line)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@documents
def test_every_test_that_is_named_exists(document: Path) -> None:
    missing = [
        f"{path}::{function}"
        for path, function in _TEST.findall(text(document))
        if not (ROOT / path).exists() or function not in functions(ROOT / path)
    ]
    assert missing == []


@documents
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", text(ROOT / "Makefile"), re.MULTILINE))
    named = {word for call in commands(document, "make") for word in call if "=" not in word}
    assert named <= targets


@documents
def test_every_command_and_flag_of_rbgctrl_that_is_named_exists(document: Path) -> None:
    known = get_command(application()).commands  # type: ignore[attr-defined]  # a group
    for call in commands(document, "rbgctrl"):
        if not call or call[0].startswith("-"):
            continue
        assert call[0] in known, call
        options = {option for parameter in known[call[0]].params for option in (*parameter.opts, "--help")}
        assert {word.partition("=")[0] for word in call if word.startswith("-")} <= options, call


@pytest.fixture
def quiet() -> Iterator[None]:
    """No logs: what is shown may run a whole cluster a hundred times."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@documents
@pytest.mark.usefixtures("quiet")
def test_python_is_python_and_tests_that_are_shown_pass(document: Path) -> None:
    for block in blocks(document):
        if block.language != "python":
            continue
        tree = _parsed(block.text)
        tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"]
        if tests:
            scope: dict[str, object] = {"__name__": "document"}
            exec(compile(tree, name(document), "exec"), scope)  # noqa: S102 - our own documents
            for test in tests:
                scope[test]()  # type: ignore[operator]  # a function


def _parsed(source: str) -> ast.Module:
    """A module, or a part of a coroutine."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.parse("async def fragment():\n" + "".join(f"    {line}\n" for line in source.splitlines()))


def test_the_readme_shows_the_embedded_controller_as_it_is() -> None:
    (shown,) = (block.text for block in blocks(ROOT / "README.md") if block.language == "python")
    assert shown == EMBEDDED.read_text(encoding="utf-8")


def test_every_target_of_the_makefile_is_in_the_readme() -> None:
    makefile = text(ROOT / "Makefile")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):.*##", makefile, re.MULTILINE)) - {"help"}
    assert targets <= {word for call in commands(ROOT / "README.md", "make") for word in call}


def test_every_dependency_is_explained() -> None:
    section = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.scripts]")[0]
    direct = set(re.findall(r'^  "([\w-]+)>=', section, re.MULTILINE))
    document = text(ROOT / "docs" / "design" / "0003-dependencies.md")
    explained = set(re.findall(r"^\| ([\w-]+) \|", document, re.MULTILINE)) - {"Package"}
    assert len(direct) > 20
    assert explained == direct


def test_the_layers_in_the_architecture_are_those_that_are_enforced() -> None:
    found = re.search(r'name = "Layers point one way: ([^"]+)"', text(ROOT / "pyproject.toml"))
    assert found is not None
    architecture = text(ROOT / "docs" / "design" / "0001-architecture.md")
    assert f"Layers point one way: {found[1]}." in architecture
    assert len(re.findall(r"^\d\. ", architecture.partition("## Import contracts")[2], re.MULTILINE)) == len(
        re.findall(r"^\[\[tool\.importlinter\.contracts\]\]", text(ROOT / "pyproject.toml"), re.MULTILINE)
    )
