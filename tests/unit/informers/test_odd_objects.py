"""Objects that do not decode, and other absurdities: the rest goes on, and the odd one is named."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from rbgctrl.informers import ChangeType
from unit.informers.fake import FakeApi, event
from unit.informers.harness import Bench, bench, simulate


def three() -> FakeApi:
    api = FakeApi()
    for name in "xyz":
        api.put(name)
    return api


ODD = {"metadata": {"name": "odd", "namespace": "a", "uid": "odd", "resourceVersion": "200"}, "data": "not a map"}


def odd(rv: int) -> dict[str, object]:
    return {**ODD, "metadata": {**ODD["metadata"], "resourceVersion": str(rv)}}  # type: ignore[dict-item]  # a dict


@pytest.mark.parametrize("stream_lists", [True, False])
def test_an_undecodable_object_in_a_list_does_not_hide_the_others(*, stream_lists: bool) -> None:
    async def test() -> None:
        api = three()
        api.objects["a", "odd"] = odd(103)
        api.put("huge", metadata={"annotations": {"note": "x" * 5_000_000}})
        async with bench(api, stream_lists=stream_lists) as b:
            await b.informer.wait_synced()
            await b.settle()
            b.check()
            store = b.informer.store
            assert [obj.metadata.name for obj in store.list()] == ["huge", "x", "y", "z"]
            assert store.get(("a", "odd")) is None
            invalid = store.invalid(("a", "odd"))
            assert invalid is not None
            assert "data" in invalid.error
            assert store.invalids() == [invalid]
            assert invalid in [change.new for change in b.follower.changes]
            assert b.informer.statistics().invalid == 1

    simulate(test)


def test_an_object_that_stops_and_starts_decoding_is_an_update_each_time() -> None:
    async def test(b: Bench) -> None:
        api = b.api
        good = api.put("odd", metadata={"uid": "odd"})
        await b.settle()
        b.follower.clear()
        api.streams[0].send(event("MODIFIED", odd(150)))
        await b.settle()
        assert b.informer.store.get(("a", "odd")) is None
        good["metadata"]["resourceVersion"] = "160"
        api.streams[0].send(event("MODIFIED", good))
        await b.settle()
        assert [change.type for change in b.follower.changes] == [ChangeType.UPDATED] * 2
        assert b.informer.statistics().invalid == 0
        assert b.informer.store.has_uid("odd")
        api.streams[0].send(event("DELETED", odd(170)))
        await b.settle()
        deleted = b.follower.changes[-1]
        assert deleted.type is ChangeType.DELETED
        assert deleted.old == b.follower.changes[-2].new  # the last state that could be read
        assert b.informer.statistics().relists == {"start": 1}

    async def main() -> None:
        async with bench() as b:
            await b.informer.wait_synced()
            await test(b)

    simulate(main)


def test_an_undecodable_object_is_named_in_the_log_once_for_each_of_its_versions() -> None:
    async def test() -> None:
        api = FakeApi()
        api.objects["a", "odd"] = odd(100)
        async with bench(api) as b:
            await b.informer.wait_synced()
            for _ in range(3):  # lists and replays of the same version are no news
                api.streams[0].send(b"{}\n")
                await b.settle(30)
                api.streams[0].send(event("MODIFIED", odd(100)))
                await b.settle()
            b.informer.resync()
            api.streams[0].send(event("MODIFIED", odd(200)))
            await b.settle()

    with capture_logs() as logs:
        simulate(test)
    lines = [line for line in logs if line["event"] == "object does not decode"]
    assert [(line["object"], line["resource_version"]) for line in lines] == [("a/odd", "100"), ("a/odd", "200")]
