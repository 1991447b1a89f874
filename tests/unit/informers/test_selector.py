"""Selectors are judged as the server judges them."""

from __future__ import annotations

import pytest

from rbgctrl.informers.selector import field_matcher, label_matcher

LABELS = {"app": "web", "tier": "front", "example.com/group": "g", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("", True),
        (" ", True),
        ("app=web", True),
        ("app==web", True),
        (" app = web ", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("missing!=x", True),
        ("missing=x", False),
        ("missing=", False),
        ("empty=", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("! app", False),
        ("app in (web,db)", True),
        ("app in (db)", False),
        ("app in ( db , web )", True),
        ("empty in (,x)", True),
        ("missing in (x)", False),
        ("app notin (web)", False),
        ("app notin (db)", True),
        ("missing notin (x)", True),
        ("example.com/group=g", True),
        ("app=web,tier=front", True),
        ("app=web,tier=back", False),
        ("app in (db,web),tier notin (back,side),!missing,empty", True),
        ("in=x", False),
        ("notin", False),
    ],
)
def test_label_selectors_mean_what_kubectl_means(selector: str, *, found: bool) -> None:
    assert label_matcher(selector)(LABELS) is found


@pytest.mark.parametrize("selector", ["=x", "app=a=b", "app in web", "app in (web", "app=web,", "a b", "(x)"])
def test_a_malformed_label_selector_is_refused(selector: str) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        label_matcher(selector)


def test_a_malformed_field_selector_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot read"):
        field_matcher("metadata.name")
