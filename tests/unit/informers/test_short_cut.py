"""Lines of a live watch and of a streamed list skip the watcher's values; the outcome must be the same."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.api.core import ConfigMap
from rbgctrl.informers import Change, Informer
from rbgctrl.informers import signals as s
from rbgctrl.informers.watcher import parse_rv
from unit.informers.fake import FakeApi, config_map, event
from unit.informers.harness import simulate

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "END"]),
        st.sampled_from(["x", "y"]),
        st.integers(1, 2),
        st.integers(1, 12),
    ),
    max_size=25,
)


def described(kind: str, name: str, incarnation: int, rv: int) -> tuple[str, dict[str, Any]]:
    if kind == "BOOKMARK":
        return kind, {"metadata": {"resourceVersion": "100"}}  # never from the past, which would end the watch
    if kind == "END":
        return "BOOKMARK", {
            "metadata": {"resourceVersion": "100", "annotations": {"k8s.io/initial-events-end": "true"}}
        }
    meta = {"name": name, "namespace": "a", "uid": f"{name}{incarnation}", "resourceVersion": str(rv)}
    return kind, {"metadata": meta}


def signal(kind: str, obj: dict[str, Any]) -> s.Input:
    rv = parse_rv(obj["metadata"]["resourceVersion"])
    if kind == "BOOKMARK":
        return s.Bookmarked(rv, end="annotations" in obj["metadata"])
    return s.Changed(kind, config_map(obj), rv)


@given(events=EVENTS, streaming=st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_short_cut_does_what_the_watcher_would_have_had_done(
    events: list[tuple[str, str, int, int]], *, streaming: bool
) -> None:
    async def outcome(*, short: bool) -> tuple[Any, ...]:
        informer = Informer(FakeApi(), ConfigMap, jitter=lambda: 0.5)
        feeder, told = informer._feeders[0], list[Change[ConfigMap]]()
        informer.add_handler(told.append)
        feeder._time = asyncio.get_running_loop().time
        feeder._step(s.Started())
        feeder._step(s.Opened())
        if not streaming:
            feeder._step(s.Bookmarked(1, end=True))
        actions = []
        for kind, obj in (described(*each) for each in events):
            if streaming and kind == "BOOKMARK" and "annotations" not in obj["metadata"]:
                continue  # a plain bookmark instead of the end mark would end the list
            action = feeder._line(event(kind, obj)) if short else feeder._step(signal(kind, obj))
            actions.append(action)
        store = informer.store
        return told, actions, store.list(), store.rv, informer._store._tombstones.keys(), feeder.phase

    async def test() -> None:
        assert await outcome(short=True) == await outcome(short=False)

    simulate(test)
