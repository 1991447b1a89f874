"""What a cached Pod costs in memory and in work for the garbage collector."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from bench import pods
from bench.consumer import node_of, role_of
from bench.report import Row
from rbgctrl.api.core import Pod
from rbgctrl.client.decode import decoder
from rbgctrl.informers.writer import WritableStore

__all__ = ["memory", "tracked"]

_BYTES = 5_120


def memory(*, short: bool) -> list[Row]:
    """Bytes and tracked objects of a pod in a store with two indexes more than every store has."""
    count = 1_000 if short else 10_000
    size, left = _cached("plain", count)
    own, own_left = _cached("own", count)
    return [
        Row(
            bench="memory",
            what=f"cached Pod, {_wire('plain'):,} bytes on the wire",
            value=size,
            unit="B",
            budget=f"<= {_BYTES:,}",
            met=size <= _BYTES,
        ),
        Row(
            bench="memory",
            what=f"cached Pod of a role instance, {_wire('own'):,} bytes on the wire",
            value=own,
            unit="B",
        ),
        Row(
            bench="memory",
            what=f"objects of {2 * count:,} cached Pods that the garbage collector tracks",
            value=left + own_left,
            budget="0",
            exact=True,
            met=left + own_left == 0,
        ),
    ]


def _cached(shape: str, count: int) -> tuple[float, int]:
    """Bytes per pod, all that the store needs for it included, and tracked objects of all pods together."""
    decode = decoder(Pod).event
    store: WritableStore[Pod] = WritableStore(clock=lambda: 0.0)
    store.add_index("role", role_of)
    store.add_index("node", node_of)
    lines = [pods.line("ADDED", shape, number, 1001 + number) for number in range(count)]
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for line in lines:
            found = decode(line).object
            assert isinstance(found, Pod)
            store.put(found, found.metadata.rv)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    kept = store.list()
    assert len(kept) == count
    return (size - before) / count, sum(map(tracked, kept))


def tracked(value: Any) -> int:
    """How many objects of a decoded value, itself included, the garbage collector looks at."""
    inside: Any = ()
    if isinstance(value, dict):
        inside = (*value, *value.values())
    elif isinstance(value, tuple | list | set):
        inside = value
    elif hasattr(value, "__struct_fields__"):
        inside = (getattr(value, field) for field in value.__struct_fields__)
    return gc.is_tracked(value) + sum(map(tracked, inside))


def _wire(shape: str) -> int:
    return len(pods.line("ADDED", shape, 0, 1001))
