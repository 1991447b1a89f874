"""Random scripts of faults against a running informer: in the end it knows what the server knows."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rbgctrl.api.core import ConfigMap
from rbgctrl.client.errors import (
    ConnectError,
    ForbiddenError,
    GoneError,
    InternalServerError,
    NotFoundError,
    ResponseError,
    TooManyRequestsError,
    UnavailableError,
)
from rbgctrl.informers import Informer, InformerOptions
from rbgctrl.sim.loop import VirtualLoop
from unit.informers.fake import FakeApi, Follower, Stream, config_map, error_event, event, too_large

NAMES = st.sampled_from(["v", "w", "x", "y", "z"])
ERRORS = st.sampled_from(
    [
        ConnectError("reset", reason="reset"),
        ConnectError("silence", reason="timeout"),
        ForbiddenError(403),
        GoneError(410, "Expired"),
        InternalServerError(500),
        NotFoundError(404),
        ResponseError("<html>"),
        TooManyRequestsError(429, retry_after=3),
        UnavailableError(503, retry_after=1),
        too_large(),
        RuntimeError("a defect"),
    ]
)
LINES = st.sampled_from(
    [
        b"{}\n",
        b'{"type":"ODD","object":{}}\n',
        event("ADDED", {"metadata": {"name": "v", "uid": "u", "resourceVersion": "latest"}}),
        error_event(410, "Expired"),
        error_event(500),
        error_event(429, retryAfterSeconds=2),
        event("BOOKMARK", {"metadata": {"resourceVersion": "7"}}),
    ]
)


def end(stream: Stream) -> None:
    stream.send(None)


class ChaosMachine(RuleBasedStateMachine):
    """Invariants: handlers always know what the store holds; progress never goes down unless the cluster did; requests
    are spaced out; when the faults stop, store and server agree.
    """

    @initialize(streams=st.booleans(), draw=st.sampled_from([0.0, 0.5, 0.99]), objects=st.integers(0, 4))
    def start(self, *, streams: bool, draw: float, objects: int) -> None:
        self.loop = VirtualLoop()
        self.api = FakeApi()
        for number in range(objects):
            self.api.put("vwxyz"[number])
        self.follower = Follower()
        self.rv = 0
        self.epoch = 0
        self.loop.run_until_complete(self._start(streams=streams, draw=draw))

    async def _start(self, *, streams: bool, draw: float) -> None:
        options = InformerOptions(stream_lists=streams)
        self.informer = Informer(self.api, ConfigMap, options=options, jitter=lambda: draw)
        self.informer.add_handler(self.follower)
        self.task = asyncio.create_task(self.informer.run())

    # The cluster lives

    @rule(name=NAMES, through=st.booleans())
    def write(self, name: str, *, through: bool) -> None:
        obj = self.api.put(name)
        if through:
            self._call(lambda: self.informer.observe(config_map(obj)))

    @precondition(lambda self: self.api.objects)
    @rule(data=st.data(), through=st.booleans())
    def delete(self, data: st.DataObject, *, through: bool) -> None:
        _, name = data.draw(st.sampled_from(sorted(self.api.objects)))
        obj = self.api.delete(name)
        if through:
            self._call(lambda: self.informer.observe_deleted(config_map(obj)))

    @rule(seconds=st.sampled_from([0.001, 0.5, 3.0, 20.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self._advance(seconds)

    @rule()
    def history_is_compacted(self) -> None:
        self.api.compacted = self.api.rv

    # Things go wrong

    @rule(what=st.sampled_from(["list", "next", "probe", "watch", "watchlist"]), error=ERRORS, times=st.integers(1, 3))
    def requests_fail(self, what: str, error: Exception, times: int) -> None:
        self.api.fail(what, *[error] * times)

    @rule(times=st.integers(1, 3))
    def watches_end_at_once(self, times: int) -> None:
        self.api.fail("watch", *[end] * times)

    @rule(error=st.none() | ERRORS)
    def watches_end(self, error: Exception | None) -> None:
        self.api.cut(error)

    @rule(line=LINES)
    def nonsense_is_said(self, line: bytes) -> None:
        for stream in self.api.streams:
            stream.send(line)

    @rule()
    def watches_fall_silent(self) -> None:
        for stream in self.api.streams:
            stream.mute = True

    @rule(count=st.integers(1, 10), backwards=st.booleans())
    def the_past_is_replayed(self, count: int, *, backwards: bool) -> None:
        past = [event(kind, obj) for _, kind, obj in self.api.history[-count:]]
        for stream in self.api.streams:
            if not stream.mute and stream.bookmarks:
                stream.send(*(reversed(past) if backwards else past))

    @rule(marks=st.booleans())
    def end_marks_come_and_go(self, *, marks: bool) -> None:
        self.api.marks = marks

    @rule(writes=st.integers(1, 5), error=st.none() | ERRORS)
    def the_cluster_is_restored_from_a_backup(self, writes: int, error: Exception | None) -> None:
        self.api.marks = True
        self.api.faults.clear()
        self._advance(700)  # all that was written has been seen
        self.api.save()
        for _ in range(writes):
            self.api.put("v")
        self._advance(1)
        self.api.restore(error)
        self.api.compacted = 0
        self._advance(700)
        self._agree()

    # Helpers

    def _advance(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        assert not self.task.done()

    def _call(self, fn: Any) -> None:
        async def call() -> None:
            fn()

        self.loop.run_until_complete(call())

    def _held(self) -> dict[tuple[str, str], tuple[str, int]]:
        metas = (obj.metadata for obj in self.informer.store.list())
        return {(meta.namespace, meta.name): (meta.uid, meta.rv) for meta in metas}

    def _agree(self) -> None:
        assert self._held() == self.api.versions()

    @invariant()
    def handlers_know_what_the_store_holds(self) -> None:
        assert self.follower.view == self._held()
        assert not self.informer._dispatcher.failures  # the follower refused nothing

    @invariant()
    def progress_goes_down_only_when_the_cluster_went_back(self) -> None:
        store = self.informer.store
        assert store.rv >= self.rv or store.epoch > self.epoch
        self.rv, self.epoch = store.rv, store.epoch

    @invariant()
    def requests_are_spaced_out(self) -> None:
        for earlier, later in zip(self.api.calls, self.api.calls[12:], strict=False):
            assert later.at - earlier.at > 0.05

    def teardown(self) -> None:
        if not hasattr(self, "task"):
            return
        try:
            self.api.marks = True
            self.api.faults.clear()
            self._advance(700)
            self._agree()
            assert self.informer.synced
            assert self.informer.store.rv == self.api.rv
        finally:
            self.task.cancel()
            self.loop.run_until_complete(asyncio.gather(self.task, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
        assert not self.api.streams


TestChaosMachine = ChaosMachine.TestCase
TestChaosMachine.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
