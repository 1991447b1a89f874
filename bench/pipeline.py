"""From the wire to the reconciler: events a second on one core, against what else could read them.

The machine may be shared and noisy, so all ways are measured in turn, several rounds long, and the best wave of each
counts; ratios are between figures of the same run. Every event must have been read and reconciled, or nothing counts.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.consumer import Spent
from bench.feed import feed
from bench.report import Row

__all__ = ["pipeline"]

_ROOT = Path(__file__).parents[1]
_EVENTS = 40_000
_TIMES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One reader.

    Attributes:
        what: for the table.
        way: its name in :data:`bench.consumer.WAYS`.
        loop: the event loop.
        shape: of the pods, a name of :data:`bench.pods.SHAPES`.
        share: of the events it is given; slow ones need fewer.
    """

    what: str
    way: str
    loop: str = "uvloop"
    shape: str = "plain"
    share: float = 1.0


_OURS = (
    _Way(what="rbgctrl, events of a key merge while it waits", way="pipeline"),
    _Way(what="the same on asyncio's own loop", way="pipeline", loop="asyncio"),
)
_EACH = _Way(what="rbgctrl, a reconcile for each event", way="each")
_UNIT = _Way(what="orjson.loads of each line, nothing else", way="unit")
_RIVAL = _Way(what="kubernetes_asyncio's Watch, nothing else", way="rival", loop="asyncio", share=0.1)
_WAYS = (
    *_OURS,
    _EACH,
    _Way(what="rbgctrl, counted for Prometheus, as the daemon", way="daemon"),
    _Way(what="rbgctrl, 6.9 KB pods of role instances", way="pipeline", shape="own"),
    _Way(what="rbgctrl, lines off the socket, nothing else", way="framing"),
    _Way(what="rbgctrl, lines and decoding, nothing else", way="decoding"),
    _UNIT,
    _RIVAL,
)


def pipeline(*, short: bool) -> list[Row]:
    """Events a second of each reader, best of all waves, and their ratios."""
    pods, rounds, waves = (1000, 2, 4) if short else (4000, 5, 6)
    found = _measure(pods, rounds, waves)
    best = {way: min(spent.best for spent in runs) for way, runs in found.items()}
    ours = min(best[way] for way in _OURS)
    each = [spent for spent in found[_EACH] if spent.reconciled == spent.events == pods * waves]
    lost = sum(pods * waves - spent.events for way in _OURS for spent in found[way])
    return [
        *(Row(bench="pipeline", what=way.what, value=1 / spent, unit="events/s") for way, spent in best.items()),
        Row(
            bench="pipeline",
            what="the better of both loops",
            value=1 / ours,
            unit="events/s",
            budget=f">= {_EVENTS:,}",
            met=1 / ours >= _EVENTS,
        ),
        Row(
            bench="pipeline",
            what="times as fast as kubernetes_asyncio's Watch",
            value=best[_RIVAL] / ours,
            unit="x",
            budget=f">= {_TIMES}",
            met=best[_RIVAL] / ours >= _TIMES,
        ),
        Row(bench="pipeline", what="the whole way, in orjson.loads of a line", value=ours / best[_UNIT], unit="x"),
        Row(bench="pipeline", what="events lost", value=lost, budget="0", exact=True, met=lost == 0),
        Row(
            bench="pipeline",
            what="runs in which every event had its reconcile",
            value=len(each),
            budget=str(rounds),
            exact=True,
            met=len(each) == rounds,
        ),
    ]


def _measure(pods: int, rounds: int, waves: int) -> dict[_Way, list[Spent]]:
    """Every way in every round, in turn."""
    found: dict[_Way, list[Spent]] = {way: [] for way in _WAYS}
    few = int(pods * _RIVAL.share)
    with feed("plain", pods, waves) as plain, feed("own", pods, waves) as own, feed("plain", few, waves) as short:
        for _ in range(rounds):
            for way in _WAYS:
                if way.share < 1:
                    found[way].append(_consume(way, short, few, waves))
                else:
                    found[way].append(_consume(way, own if way.shape == "own" else plain, pods, waves))
    return found


def _consume(way: _Way, url: str, pods: int, waves: int) -> Spent:
    command = [sys.executable, "-m", "bench.consumer", way.way, way.loop, url, str(pods), str(waves)]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=_ROOT, check=True)
    return msgspec.json.decode(done.stdout, type=Spent)
