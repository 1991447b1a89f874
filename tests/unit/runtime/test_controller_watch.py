"""From informers to requests: who is woken, when, and at what priority."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from rbgctrl.api.meta import Key, OwnerReference
from rbgctrl.informers.change import Change
from rbgctrl.runtime import handlers, predicates
from rbgctrl.runtime.controller import Controller, ControllerOptions
from rbgctrl.runtime.result import Priority, Request
from rbgctrl.sim import loop
from unit.runtime.fakes import (
    A,
    B,
    C,
    ControllerDiary,
    FakeInformer,
    QueueDiary,
    Script,
    Thing,
    added,
    removed,
    thing,
    updated,
)


def test_no_reconcile_starts_before_every_informer_has_listed_and_requests_merge_meanwhile() -> None:
    async def main() -> None:
        script = Script()
        ctl = Controller("test", script)
        first, second = FakeInformer(), FakeInformer()
        ctl.watch(first, handlers.itself)
        ctl.watch(second, handlers.itself)
        task = asyncio.create_task(ctl.run())
        await asyncio.sleep(1)
        for rv in range(1, 6):
            first.deliver(updated(thing("a", rv=rv), thing("a", rv=rv + 1)))
            second.deliver(updated(thing("b", rv=rv), thing("b", rv=rv + 1)))
        first.listed.set()
        await asyncio.sleep(100)
        assert script.calls == []
        assert not ctl.ready
        assert len(ctl.queue) == 2
        second.listed.set()
        await asyncio.sleep(1)
        assert ctl.ready
        assert script.calls == [(A, 101), (B, 101)]
        ctl.stop()
        await task

    loop.run(main())


def test_an_informer_that_does_not_list_is_named_in_the_log() -> None:
    async def main() -> None:
        ctl = Controller("test", Script(), options=ControllerOptions(sync_warning=30))
        ctl.watch(FakeInformer(), handlers.itself)
        with capture_logs() as logs:
            task = asyncio.create_task(ctl.run())
            await asyncio.sleep(70)
            ctl.stop()
            await task
        assert [(line["event"], line["kind"]) for line in logs if line["log_level"] == "warning"] == [
            ("still waiting for the first list", "Thing")
        ] * 2

    loop.run(main())


def test_what_is_there_at_the_start_and_resyncs_wait_behind_what_changes() -> None:
    async def main() -> None:
        ctl = Controller("test", Script())
        diary = ctl.queue.observer = QueueDiary()
        informer = FakeInformer()
        informer.store.objects[A] = thing("a")
        ctl.watch(informer, handlers.itself, predicates.always)
        task = asyncio.create_task(ctl.run())
        await asyncio.sleep(1)
        informer.deliver(updated(thing("b"), thing("b"), resync=True))
        informer.deliver(updated(thing("c"), thing("c", rv=2)))
        informer.deliver(removed(thing("d")))
        assert [line[1] for line in diary.lines] == [Priority.LOW, Priority.LOW, Priority.NORMAL, Priority.NORMAL]
        ctl.stop()
        await task

    loop.run(main())


def test_resyncs_wake_nobody_by_default() -> None:
    async def main() -> None:
        ctl = Controller("test", Script())
        informer = FakeInformer()
        ctl.watch(informer, handlers.itself)
        task = asyncio.create_task(ctl.run())
        await asyncio.sleep(1)
        informer.deliver(updated(thing("a"), thing("a"), resync=True))
        assert len(ctl.queue) == 0
        ctl.stop()
        await task

    loop.run(main())


def test_a_standby_collects_nothing_and_misses_nothing() -> None:
    """Names come and go for months while another process leads; none of that may pile up here."""

    async def main() -> None:
        script = Script()
        ctl = Controller("test", script)
        informer = FakeInformer()
        informer.listed.set()
        ctl.watch(informer, handlers.itself)
        for number in range(100):
            informer.deliver(added(thing(f"short-lived-{number}")))
            informer.deliver(removed(thing(f"short-lived-{number}")))
        informer.deliver(added(thing("a")))
        assert len(ctl.queue) == 0
        task = asyncio.create_task(ctl.run())
        await asyncio.sleep(1)
        assert script.requests == [A]
        ctl.stop()
        await task

    loop.run(main())


def test_a_watch_added_while_running_begins_with_what_is_there() -> None:
    async def main() -> None:
        script = Script()
        ctl = Controller("test", script)
        task = asyncio.create_task(ctl.run())
        await asyncio.sleep(1)
        informer = FakeInformer()
        informer.store.objects[A] = thing("a")
        ctl.watch(informer, handlers.itself)
        await asyncio.sleep(1)
        informer.deliver(added(thing("b")))
        await asyncio.sleep(1)
        assert script.calls == [(A, 1), (B, 2)]
        ctl.stop()
        await task

    loop.run(main())


def test_a_handler_that_fails_costs_one_change_and_is_logged_and_counted() -> None:
    def odd(change: Change[Thing]) -> list[Request]:
        if change.key == A:
            raise KeyError("group")
        return [change.key]

    async def main() -> None:
        script = Script()
        ctl = Controller("test", script)
        diary = ctl.observer = ControllerDiary()
        informer = FakeInformer()
        informer.listed.set()
        ctl.watch(informer, odd)
        with capture_logs() as logs:
            task = asyncio.create_task(ctl.run())
            await asyncio.sleep(1)
            informer.deliver(added(thing("a")))
            informer.deliver(added(thing("b")))
            await asyncio.sleep(1)
        assert script.requests == [B]
        assert diary.failed_handlers == 1
        assert [line["event"] for line in logs if line["log_level"] == "error"] == ["a handler failed"]
        ctl.stop()
        await task

    loop.run(main())


def test_a_controller_can_watch_children_through_their_owner_beside_its_own_kind() -> None:
    async def main() -> None:
        script = Script()
        ctl = Controller("test", script)
        own, children = FakeInformer(), FakeInformer()
        own.listed.set()
        children.listed.set()
        ctl.watch(own, handlers.itself, predicates.generation | predicates.deleting)
        ctl.watch(children, handlers.owner(Thing))
        task = asyncio.create_task(ctl.run())
        await asyncio.sleep(1)
        own.deliver(updated(thing("a"), thing("a", rv=2, status=1)))  # our own status write: wakes nobody
        owner = OwnerReference(api_version="test.example/v1", kind="Thing", name="c", uid="uid-c", controller=True)
        children.deliver(added(thing("x", owners=(owner,))))
        await asyncio.sleep(1)
        assert script.requests == [C]
        assert Key("ns", "x") not in script.requests
        ctl.stop()
        await task

    loop.run(main())
