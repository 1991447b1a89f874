from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.cli.validate.nodes import documents

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # YAML has no surrogates, no control characters, and no line breaks of Unicode where JSON has text.
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def _one(text: str) -> Any:
    (document,) = documents(text)
    assert document.root is not None, document.problems
    return document.root.json()


def _problem(text: str) -> str:
    problems = [problem for document in documents(text) for problem in document.problems]
    assert len(problems) == 1
    return f"{problems[0].line}: {problems[0].message}"


@given(st.dictionaries(st.text(min_size=1, max_size=6), _JSON, min_size=1, max_size=3))
def test_json_reads_as_what_it_says(value: dict[str, Any]) -> None:
    assert _one(json.dumps(value)) == value
    assert _one(json.dumps(value, indent="\t")) == value


def _plain(value: dict[str, Any]) -> bool:
    """Without texts like 1e3, which PyYAML dumps without quotes and Kubernetes reads as numbers."""
    return not re.search(r'"[-+]?[0-9.]+[eE][-+]?[0-9]+"', json.dumps(value))


@given(st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=6), _JSON))
def test_yaml_reads_as_what_was_dumped(value: dict[str, Any]) -> None:
    if value and _plain(value):
        assert _one(yaml.safe_dump(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2021-01-01", "2021-01-01"),
        ("a: 1:30", "1:30"),
        ("a: yes", True),
        ("a: 'yes'", "yes"),
        ("a: 0x10", 16),
        ("a: 010", 8),
        ("a: 1e3", 1000.0),
        ("a: '1e3'", "1e3"),
        ("a: 1.5", 1.5),
        ("a: ~", None),
        ("a: !!str 1", "1"),
        ("a: !ours 1", "1"),
        ('{"a": "\\ud83d\\ude00"}', "😀"),
        ('{"a": "\\\\ud83d\\\\ude00"}', "\\ud83d\\ude00"),
    ],
)
def test_scalars_mean_what_they_mean_to_kubernetes(text: str, value: Any) -> None:
    assert _one(text) == {"a": value}


def test_keys_are_text_and_merges_are_followed() -> None:
    assert _one("1: a\ntrue: b") == {"1": "a", "true": "b"}
    assert _one("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}")["y"] == {"a": 1, "b": 3}
    assert _one("x: &x {a: 1}\ny: {<<: [*x, {a: 2, c: 3}]}")["y"] == {"a": 1, "c": 3}


_TEXT = """# a comment
spec:
  roles:
  - name: a
    labels:
      example.com/a.b: x

    replicas: 1
  - {name: b}
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("spec", 2),
        ("spec.roles", 3),
        ("spec.roles[0]", 4),
        ("spec.roles[0].labels[example.com/a.b]", 6),
        ("spec.roles[0].labels.example.com/a.b", 6),
        ("spec.roles[0].replicas", 8),
        ("spec.roles[1].name", 9),
        ("spec.roles[1].missing.deep", 9),
        ("spec.roles[7].name", 3),
        ("spec.roles[x]", 3),
        ("", 2),
        ("nothing", 2),
    ],
)
def test_a_path_has_a_line_or_its_nearest_parent_has(path: str, line: int) -> None:
    (document,) = documents(_TEXT)
    assert document.root is not None
    assert document.root.place(path) == line


def test_documents_count_their_lines_through_the_stream() -> None:
    found = [document.root.line for document in documents("a: 1\n---\n---\n# c\nb: 2\n---\n") if document.root]
    assert found == [1, 5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: b\n c: d: e", "2: is no YAML"),
        ("[" * 5000, "is no YAML"),
        ("x: " + "[" * 5000 + "]" * 5000, "nested more than 200 levels deep"),
        ("\n".join(f"{' ' * level}a:" for level in range(300)), "nested more than 200 levels deep"),
        ("a: &a [*a]", "1: refers to a inside itself"),
        ("a: *b", "1: refers to b, which is defined nowhere before"),
        ("a: 1\nb: .nan", "2: .nan is no number that JSON has"),
        ("a: " + "9" * 5000, "is no number that JSON has"),
        ("? [1]\n: 2", "1: has a list or an object as a key"),
        ("a: \x01", "is no YAML"),
        ('{"a": "\\ud83d"}', "is no YAML"),
        ("a: 1\na: 2", "2: has the key 'a' twice"),
        (
            "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
            + "\n".join(f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 10)}]" for n in range(8)),
            "repeats itself through aliases",
        ),
    ],
)
def test_a_text_that_cannot_be_used_is_a_problem_with_its_line(text: str, words: str) -> None:
    assert words in _problem(text)


@given(st.text(st.characters(), max_size=60) | st.text("{}[]:,&*-!?|>'\"%#\n \t<a1", max_size=60))
def test_no_text_makes_reading_raise(text: str) -> None:
    for document in documents(text):
        if document.root is not None:
            document.root.json()
            document.root.place("a.b[0].c")
