from __future__ import annotations

from typing import Any

import msgspec
import pytest

from golden.groups import VECTORS, Vector
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.hooks import dec_hook, enc_hook

_ABSENT = object()


def _body(vector: Vector) -> dict[str, Any]:
    body: dict[str, Any] = {"metadata": {"name": "g", "namespace": "n"}}
    return body if vector.spec is None else {**body, "spec": vector.spec}


def _at(role: dict[str, Any], path: str) -> Any:
    found: Any = role
    for part in path.split("."):
        found = found.get(part, _ABSENT)
    return found


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.refused], ids=lambda v: v.name)
def test_a_refused_spec_does_not_decode_and_says_why(vector: Vector) -> None:
    with pytest.raises(msgspec.ValidationError, match=vector.refused):
        msgspec.json.decode(msgspec.json.encode(_body(vector)), type=RoleBasedGroup, dec_hook=dec_hook)


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v.refused], ids=lambda v: v.name)
def test_an_accepted_spec_decodes_with_its_defaults_and_survives_a_round_trip(vector: Vector) -> None:
    group = msgspec.json.decode(msgspec.json.encode(_body(vector)), type=RoleBasedGroup, dec_hook=dec_hook)
    if vector.spec is None:
        assert group.spec is None
        return
    assert group.spec is not None
    wire = group.spec.wire()
    assert "surplus" not in str(wire)
    for path, value in (vector.stored or {}).items():
        assert _at(wire["roles"][0], path) == value
    encoded = msgspec.json.encode(group, enc_hook=enc_hook)
    assert msgspec.json.decode(encoded, type=RoleBasedGroup, dec_hook=dec_hook) == group
