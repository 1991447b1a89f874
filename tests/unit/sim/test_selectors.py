"""Label and field selectors: what they select, and how nonsense is refused."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.sim.builtin import rows
from rbgctrl.sim.kinds import KindTable
from rbgctrl.sim.selectors import everything, field_selector, label_selector, matches_labels
from rbgctrl.sim.status import Refusal

KINDS = KindTable(rows())

SELECTED: list[tuple[str, dict[str, str], bool]] = [
    ("", {}, True),
    ("a=b", {"a": "b"}, True),
    ("a==b", {"a": "b"}, True),
    ("a=b", {"a": "c"}, False),
    ("a=b", {}, False),
    ("a=", {"a": ""}, True),
    ("a!=b", {}, True),
    ("a!=b", {"a": "b"}, False),
    ("a", {"a": ""}, True),
    ("a", {}, False),
    ("!a", {}, True),
    ("! a", {"a": "x"}, False),
    ("a in (b, c)", {"a": "c"}, True),
    ("a in (b,c)", {"a": "d"}, False),
    ("a in ()", {"a": ""}, True),
    ("a notin (b)", {}, True),
    ("a notin (b)", {"a": "b"}, False),
    ("a>1", {"a": "2"}, True),
    ("a>1", {"a": "x"}, False),
    ("a<1", {"a": "0"}, True),
    ("a<1", {}, False),
    ("a=b,c", {"a": "b", "c": ""}, True),
    ("a=b,c", {"a": "b"}, False),
    ("x.io/a-b_c.d=v", {"x.io/a-b_c.d": "v"}, True),
    ("in in (in)", {"in": "in"}, True),
]


@pytest.mark.parametrize(("text", "labels", "wanted"), SELECTED)
def test_a_label_selector_selects(text: str, labels: dict[str, str], wanted: bool) -> None:
    assert matches_labels(text, labels) is wanted
    assert label_selector(text)({"metadata": {"labels": labels}}) is wanted


def test_an_object_without_labels_is_selected_as_one_with_none() -> None:
    assert label_selector("!a")({"metadata": {}})
    assert label_selector("") is everything


NONSENSE: dict[str, str] = {
    "=": "found '=', expected: !, identifier, or 'end of string'",
    "a=b=c": "found '=', expected: ',' or 'end of string'",
    "a b": "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
    "a in (b": "unable to parse requirement: found '', expected: ',' or ')'",
    "a in b": "unable to parse requirement: found 'b' expected: '('",
    "a in (": "unable to parse requirement: found '', expected: ',', ')' or identifier",
    "!": "unable to parse requirement: found '', expected: identifier",
    "a,": "found '', expected: identifier after ','",
    "a=(": "unable to parse requirement: found '(', expected: identifier",
    "-a=b": 'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of',
    "a=-b": 'unable to parse requirement: values[0][a]: Invalid value: "-b": a valid label must be',
    "a>b": "for 'Gt', 'Lt' operators, the value must be an integer",
}


@pytest.mark.parametrize(("text", "words"), NONSENSE.items())
def test_nonsense_is_refused_in_the_servers_words(text: str, words: str) -> None:
    with pytest.raises(Refusal) as raised:
        label_selector(text)
    assert raised.value.code == 400
    assert words in raised.value.message


POD: dict[str, Any] = {
    "metadata": {"name": "a", "namespace": "n"},
    "spec": {"nodeName": "x"},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", True),
        ("metadata.name=a", True),
        ("metadata.name==a,metadata.namespace=n", True),
        ("metadata.name!=a", False),
        ("spec.nodeName=x,status.phase!=Pending", True),
        ("spec.nodeName=", False),
        ("status.podIP=", True),
        ("spec.hostNetwork=true", False),
        ("=", True),
    ],
)
def test_a_field_selector_selects(text: str, wanted: bool) -> None:
    assert field_selector(text, KINDS.resource("pods"))(POD) is wanted


@pytest.mark.parametrize(
    ("resource", "text", "words"),
    [
        ("pods", "spec.other=1", "field label not supported: spec.other"),
        (
            "configmaps",
            "data.x=1",
            '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("pods", "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
    ],
)
def test_an_unknown_field_is_refused(resource: str, text: str, words: str) -> None:
    with pytest.raises(Refusal) as raised:
        field_selector(text, KINDS.resource(resource))
    assert raised.value.message == words
