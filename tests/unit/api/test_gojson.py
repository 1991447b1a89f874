from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.api import gojson
from rbgctrl.api.quantity import canonical

_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
_SCALAR = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
)
_JSON = st.recursive(_SCALAR, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner), max_leaves=12)


@settings(max_examples=60)
@given(_JSON)
def test_the_bytes_mean_what_went_in(value: object) -> None:
    assert json.loads(gojson.encode(value), parse_int=float) == value  # Go reads every number as a float


@settings(max_examples=60)
@given(_JSON)
def test_html_and_line_separators_are_always_escaped(value: object) -> None:
    assert not set("<>&\u2028\u2029") & set(gojson.encode(value).decode())


@given(st.dictionaries(_TEXT, st.integers(0, 3)))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert gojson.encode(value) == gojson.encode(dict(reversed(value.items())))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [], "c": {}}, '{"a":[],"b":1,"c":{}}'),
        ((1, "x"), '[1,"x"]'),
        ("a<b>&\u2028", r'"a\u003cb\u003e\u0026\u2028"'),
        ('\b\f\n\r\t\x00\x1f"\\/ü', r'"\b\f\n\r\t\u0000\u001f\"\\/ü"'),
        ("\ud800", '"\\ufffd"'),
        (1.0, "1"),
        (1.5, "1.5"),
        (1e21, "1e+21"),
        (-1e20, "-100000000000000000000"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (2**53 + 1, "9007199254740992"),
        (2**63, "9223372036854776000"),
        (2**53, "9007199254740992"),
        (-(2**63), "-9223372036854776000"),
        (-0.0, "-0"),
        (0, "0"),
        (1e20, "100000000000000000000"),
        (123456789012345680000000, "1.2345678901234569e+23"),
        (1e-7, "1e-7"),
        (1e100, "1e+100"),
        (-2.5e-10, "-2.5e-10"),
        (0.1, "0.1"),
        (100.0, "100"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (True, "true"),
        (None, "null"),
        ("", '""'),
        ([], "[]"),
        ({"": None, "a": [None, {}]}, '{"":null,"a":[null,{}]}'),
        ({"B": 1, "a": 2, "A": 3, "_": 4, "é": 5, "-": 6}, '{"-":6,"A":3,"B":1,"_":4,"a":2,"é":5}'),
        ({"<k>": "v&w"}, r'{"\u003ck\u003e":"v\u0026w"}'),
        ("日本 🚀 \x7f\u00a0", '"日本 🚀 \x7f\u00a0"'),
        ("\u2029'`", '"\\u2029\'`"'),
        ("\v\x1b", r'"\u000b\u001b"'),
    ],
)
def test_known_encodings(value: object, text: str) -> None:
    assert gojson.encode(value).decode() == text


def test_what_json_cannot_say_is_an_error() -> None:
    with pytest.raises(TypeError, match="no JSON value"):
        gojson.encode({"a": object()})
    with pytest.raises(TypeError, match="no JSON key"):
        gojson.encode({1: "a"})
    with pytest.raises(ValueError, match="no JSON number"):
        gojson.encode(float("nan"))


@given(st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,4})?([numkMGTPE]|[KMGTPE]i)?", fullmatch=True))
def test_a_canonical_quantity_stays_as_it_is(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@pytest.mark.parametrize("text", ["", "many", "1 Gi", "1KI", "1e", "--1", "1e99999"])
def test_what_is_no_quantity_is_left_alone(text: str) -> None:
    assert canonical(text) == text
