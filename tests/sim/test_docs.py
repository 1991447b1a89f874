"""The document about the embedded cluster shows what is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["test_docs_example.py", "test_docs_faults.py"])
def test_the_document_shows_the_example_as_it_is(name: str) -> None:
    example = (ROOT / "tests" / "sim" / name).read_text(encoding="utf-8")
    assert f"```python\n{example}```\n" in (ROOT / "docs" / "sim.md").read_text(encoding="utf-8")
