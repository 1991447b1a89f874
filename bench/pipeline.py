"""From the wire to the reconciler: events a second on one core, against what else could read them, and memory.

The machine is shared and noisy, so each way is measured in several rounds in turn and its best counts; ratios are
between figures of the same run.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import msgspec

from bench import pods
from bench.consumer import Spent, node_of, role_of
from bench.feed import feed
from bench.report import Row
from rbgctrl.api.core import Pod
from rbgctrl.client.decode import decoder
from rbgctrl.informers.writer import WritableStore

__all__ = ["memory", "pipeline"]

_ROOT = Path(__file__).parents[1]
_WAYS = (
    ("rbgctrl on uvloop", "pipeline", "uvloop", 1.0),
    ("rbgctrl on asyncio", "pipeline", "asyncio", 1.0),
    ("orjson.loads of each line, nothing else", "unit", "asyncio", 1.0),
    ("kubernetes_asyncio Watch, nothing else", "rival", "asyncio", 0.1),
)
_EVENTS = 40_000.0
_RATIO = 20.0
_BYTES = 5_120


def pipeline(*, short: bool) -> list[Row]:
    """Events a second of each way, best of the rounds, and their ratios."""
    count, rounds = (1000, 2) if short else (4000, 4)
    best = dict.fromkeys((name for name, *_ in _WAYS), float("inf"))
    for _ in range(rounds):
        for name, way, loop, share in _WAYS:
            best[name] = min(best[name], _measure(way, loop, max(int(count * share), 100)).best)
    rows = [Row(bench="pipeline", what=name, value=1 / spent, unit="events/s") for name, spent in best.items()]
    ours, rival = min(best[_WAYS[0][0]], best[_WAYS[1][0]]), best[_WAYS[3][0]]
    rows.append(
        Row(bench="pipeline", what="the better of both loops", value=1 / ours, unit="events/s",
            budget=">= 40,000", met=1 / ours >= _EVENTS)
    )  # fmt: skip
    rows.append(
        Row(bench="pipeline", what="times as fast as kubernetes_asyncio's Watch", value=rival / ours, unit="x",
            budget=">= 20", met=rival / ours >= _RATIO)
    )  # fmt: skip
    unit = best[_WAYS[2][0]]
    rows.append(
        Row(bench="pipeline", what="cost of the whole way, in orjson.loads of a line", value=ours / unit, unit="x")
    )
    return rows


def _measure(way: str, loop: str, count: int, waves: int = 3) -> Spent:
    with feed("plain", count, waves) as url:
        command = [sys.executable, "-m", "bench.consumer", way, loop, url, str(count), str(waves)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, check=True)
    return msgspec.convert(json.loads(done.stdout.splitlines()[-1]), Spent)


def _keep(store: WritableStore[Pod], found: object) -> None:
    assert isinstance(found, Pod)
    store.put(found, found.metadata.rv)


def memory(*, short: bool) -> list[Row]:
    """Bytes and tracked objects of a pod in a store with two indexes more than every store has."""
    count = 1000 if short else 5000
    lines = [pods.line("ADDED", "plain", number, 1001 + number) for number in range(count)]
    decode = decoder(Pod)
    store: WritableStore[Pod] = WritableStore(clock=lambda: 0.0)
    store.add_index("role", role_of)
    store.add_index("node", node_of)
    gc.collect()
    tracked = len(gc.get_objects())
    tracemalloc.start()
    for line in lines:
        _keep(store, decode.event(line).object)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.collect()
    left = round((len(gc.get_objects()) - tracked) / count, 2)
    return [
        Row(bench="memory", what=f"bytes of a cached Pod ({len(lines[0]):,} on the wire)", value=size / count,
            unit="B", budget="<= 5,120", met=size / count <= _BYTES),
        Row(bench="memory", what="objects of a cached Pod the garbage collector tracks", value=left,
            budget="0", exact=True, met=left < 1),
    ]  # fmt: skip
