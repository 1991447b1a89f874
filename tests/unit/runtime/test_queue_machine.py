"""The work queue against a simple model, under random use in virtual time.

Invariants, checked after every step:

1. a key is never held by two workers;
2. an add is never lost: what the model says is ready, dirty or delayed, the queue says too;
3. a key waits once;
4. adding again keeps the better priority and the earlier time;
5. the better lane goes first, a key that waited 30 s counting as one lane better;
6. within a namespace and lane, first come is first served;
7. nothing is ready while a worker waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rbgctrl.api.meta import Key
from rbgctrl.runtime.queue import QueueClosedError, WorkQueue
from rbgctrl.runtime.result import Priority, Request
from rbgctrl.sim.loop import VirtualLoop

T = TypeVar("T")

AGEING = 30.0
TICK = 1e-6

keys = st.builds(Key, st.sampled_from(["x", "y"]), st.sampled_from("abc"))
priorities = st.sampled_from(Priority)
delays = st.sampled_from([0.0, 0.5, 1.0, 2.0, 40.0])


@dataclass
class Ready:
    priority: Priority
    since: float
    place: int
    aged: bool = False

    @property
    def lane(self) -> int:
        return 1 if self.priority is Priority.NORMAL or self.aged else 0


@dataclass
class Model:
    ready: dict[Request, Ready] = field(default_factory=dict)
    dirty: dict[Request, Priority] = field(default_factory=dict)
    delayed: dict[Request, tuple[float, Priority]] = field(default_factory=dict)
    processing: set[Request] = field(default_factory=set)
    places: int = 0

    def add(self, key: Request, priority: Priority, now: float) -> None:
        delay = self.delayed.pop(key, None)
        if delay is not None:
            priority = max(priority, delay[1])
        if key in self.processing:
            self.dirty[key] = max(priority, self.dirty.get(key, priority))
        elif key not in self.ready:
            self.ready[key] = Ready(priority, now, self.place())
        elif priority > self.ready[key].priority:
            known = self.ready[key]
            self.ready[key] = Ready(priority, known.since, known.place if known.aged else self.place())

    def add_after(self, key: Request, at: float, priority: Priority, now: float) -> None:
        if at <= now or key in self.ready or key in self.dirty:
            self.add(key, priority, now)
            return
        known = self.delayed.get(key, (at, priority))
        if at < known[0]:  # of keys that are due at once, the one that came to that time last runs last
            del self.delayed[key]
        self.delayed[key] = (min(at, known[0]), max(priority, known[1]))

    def advance(self, now: float) -> None:
        for key, (at, priority) in sorted(self.delayed.items(), key=lambda item: item[1][0]):
            if at <= now + TICK:
                self.add(key, priority, at)

    def age(self, now: float) -> None:
        """Ageing is looked at when a worker comes for a key."""
        for item in sorted(self.ready.values(), key=lambda item: item.place):
            if item.lane == 0 and now - item.since >= AGEING:
                item.aged, item.place = True, self.place()

    def place(self) -> int:
        self.places += 1
        return self.places


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.queue = WorkQueue(jitter=lambda: 0.5)
        self.model = Model()
        self.closed = False
        self.draining = False

    def teardown(self) -> None:
        self.loop.close()

    def do(self, step: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(step)

    def call(self, method: Any, *args: Any, **kwargs: Any) -> None:
        async def step() -> None:
            method(*args, **kwargs)

        self.do(step())

    @property
    def now(self) -> float:
        return self.loop.time()

    # Adding

    @rule(key=keys, priority=priorities)
    def add(self, key: Request, priority: Priority) -> None:
        self.call(self.queue.add, key, priority=priority)
        if not self.closed:
            self.model.add(key, priority, self.now)

    @rule(key=keys, seconds=delays, priority=priorities)
    def add_after(self, key: Request, seconds: float, priority: Priority) -> None:
        self.call(self.queue.add_after, key, seconds, priority=priority)
        if not self.closed:
            self.model.add_after(key, self.now + seconds, priority, self.now)

    @rule(key=keys, priority=priorities)
    def fail(self, key: Request, priority: Priority) -> None:
        wait = 0.005 * 2 ** self.queue.retries(key)
        self.call(self.queue.add_rate_limited, key, priority=priority)
        if not self.closed:
            self.model.add_after(key, self.now + min(wait, 250), priority, self.now)

    @rule(key=keys)
    def forget(self, key: Request) -> None:
        self.queue.forget(key)
        assert self.queue.retries(key) == 0

    # Working

    @precondition(lambda self: self.model.ready)
    @rule()
    def get(self) -> None:
        self.model.age(self.now)
        key, priority = self.do(self.queue.get())
        assert key not in self.model.processing
        taken = self.model.ready.pop(key)
        assert priority is taken.priority
        for other, waiting in self.model.ready.items():
            assert waiting.lane <= taken.lane, f"{other} waits in a better lane than {key}"
            if other.namespace == key.namespace and waiting.lane == taken.lane:
                assert waiting.place > taken.place, f"{other} came before {key}"
        self.model.processing.add(key)

    @precondition(lambda self: self.model.processing)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.processing)))
        self.call(self.queue.done, key)
        self.model.processing.remove(key)
        if key in self.model.dirty:
            self.model.add(key, self.model.dirty.pop(key), self.now)

    @precondition(lambda self: not self.model.ready)
    @rule(cancel=st.booleans(), key=keys)
    def wait_for_work(self, cancel: bool, key: Request) -> None:
        async def step() -> tuple[Request, Priority] | None:
            worker = asyncio.create_task(self.queue.get())
            await asyncio.sleep(0)
            if worker.done():
                return worker.result()
            self.queue.add(key)
            if cancel:
                worker.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if not worker.done():
                worker.cancel()
            await asyncio.wait({worker})
            return None if worker.cancelled() else worker.result()

        try:
            taken = self.do(step())
        except QueueClosedError:
            assert self.closed
            assert not self.model.dirty
            return
        if not self.closed:
            self.model.add(key, Priority.NORMAL, self.now)
        if taken is not None:
            assert not cancel
            self.model.age(self.now)
            del self.model.ready[taken[0]]
            self.model.processing.add(taken[0])
        else:
            assert cancel or not self.model.ready, "a waiting worker was not woken"

    # Time and the end

    @rule(seconds=st.sampled_from([0.0, 0.25, 1.0, 31.0]))
    def wait(self, seconds: float) -> None:
        async def step() -> None:
            await asyncio.sleep(seconds)
            await asyncio.sleep(0)  # let timers of this very moment ring

        self.do(step())
        self.model.advance(self.now)

    @rule(drain=st.booleans())
    def close(self, drain: bool) -> None:
        if self.model.places < 8:  # rarely, and not before something happened
            return
        self.call(self.queue.close, drain=drain)
        self.closed = True
        self.model.delayed.clear()
        if not drain:
            self.model.ready.clear()
            self.model.dirty.clear()

    @invariant()
    def the_queue_holds_what_the_model_holds(self) -> None:
        model, found = self.model, self.do(self.statistics())
        assert len(self.queue) == sum(found.depth.values()) == len(model.ready)
        for priority in Priority:
            assert found.depth[priority] == sum(item.priority is priority for item in model.ready.values())
        assert found.delayed == len(model.delayed)
        assert found.processing == len(model.processing)
        assert set(self.queue._dirty) == set(model.dirty)

    async def statistics(self) -> Any:
        return self.queue.statistics()


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    phases=set(Phase) - {Phase.explain},  # explaining a failure of a machine takes minutes and tells little
)
