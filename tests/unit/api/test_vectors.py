"""What the models make of objects of every kind; servers are held to the same vectors in ``tests/contract``."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from golden.kinds import VECTORS, KindVector
from rbgctrl.api.hooks import dec_hook, enc_hook
from unit.api.vectors import at

JUDGED = [vector for vector in VECTORS if not vector.server_only]


def _body(vector: KindVector) -> bytes:
    body: dict[str, Any] = {"metadata": {"name": "a"}}
    return msgspec.json.encode(body if vector.spec is None else {**body, "spec": vector.spec})


@pytest.mark.parametrize("vector", [vector for vector in JUDGED if vector.refused], ids=lambda vector: vector.id)
def test_a_refused_object_does_not_decode_and_says_why(vector: KindVector) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(_body(vector), type=vector.kind, dec_hook=dec_hook)
    assert vector.refused in str(raised.value)


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if not vector.refused], ids=lambda vector: vector.id)
def test_an_accepted_object_decodes_with_its_defaults_and_survives_a_round_trip(vector: KindVector) -> None:
    found: Any = msgspec.json.decode(_body(vector), type=vector.kind, dec_hook=dec_hook)
    again = msgspec.json.encode(found, enc_hook=enc_hook)
    assert msgspec.json.decode(again, type=vector.kind, dec_hook=dec_hook) == found
    if vector.server_only or vector.spec is None:
        return
    written = msgspec.json.decode(again)["spec"]
    if hasattr(found.spec, "wire"):
        for path, value in (vector.stored or {}).items():
            assert at(written, path) == value
        assert type(found.spec).model_validate(written).wire() == written
