from __future__ import annotations

import pytest

from rbgctrl.plan.compare import contains


@pytest.mark.parametrize(
    ("wanted", "live", "same"),
    [
        ({"a": 1}, {"a": 1, "defaulted": 2}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": {"b": 1}}, {}, False),
        ({"paused": False, "partition": 0, "labels": {}}, {}, True),
        ({"a": [1, 2]}, {"a": [1, 2]}, True),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, True),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": 1}, None, False),
    ],
)
def test_an_object_counts_as_current_when_every_wanted_field_is_there(wanted: object, live: object, same: bool) -> None:
    assert contains(wanted, live) is same
