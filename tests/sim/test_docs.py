"""The document about the embedded cluster shows what is tested."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_document_shows_the_example_as_it_is() -> None:
    example = (ROOT / "tests" / "sim" / "test_docs_example.py").read_text(encoding="utf-8")
    assert f"```python\n{example}```\n" in (ROOT / "docs" / "sim.md").read_text(encoding="utf-8")
