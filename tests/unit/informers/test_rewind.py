"""Clusters restored from a backup and servers that lag: the one must be noticed, the other waited for."""

from __future__ import annotations

from rbgctrl.client.errors import (
    ConnectError,
)
from unit.informers.fake import FakeApi, too_large
from unit.informers.harness import bench, simulate

RESET = ConnectError("connection reset", reason="reset")


def three() -> FakeApi:
    api = FakeApi()
    for name in "xyz":
        api.put(name)
    return api


def test_a_rewound_cluster_is_detected_after_an_error_and_replaces_the_store_though_versions_go_down() -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.save()
            api.put("only-after-the-backup")
            for _ in range(20):
                api.put("x")
            await b.settle()
            epoch = b.informer.store.epoch
            api.restore(RESET)
            await b.settle(120)
            b.check()
            assert b.informer.store.rv == 103
            assert b.informer.store.epoch == epoch + 1
            assert ("deleted", "only-after-the-backup") in b.follower.told()
            api.put("x")
            await b.settle()
            b.check()
            assert b.informer.statistics().relists["rewind"] == 1

    simulate(test)


def test_deafness_on_a_version_from_the_future_is_noticed_in_bounded_time() -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.save()
            for _ in range(20):
                api.put("x")
            await b.settle()
            api.restore()  # and the watches end cleanly: the next one is accepted and stays silent
            api.put("unheard")
            await b.settle(140)
            assert ("a", "unheard") not in b.informer.store
            await b.settle(60)
            b.check()

    simulate(test)


def test_a_server_that_lags_is_waited_for_and_nothing_goes_back_in_time() -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            b.follower.clear()
            ahead = api.rv
            api.rv = ahead - 2  # the load balancer leads us to a server that is behind
            api.cut(RESET)
            await b.settle(25)
            assert len(b.informer.store) == 3
            assert b.informer.store.rv == ahead
            api.rv = ahead
            await b.settle(10)
            b.check()
            assert b.follower.changes == []
            assert b.informer.statistics().relists == {"start": 1}
            assert api.said("probe", "watch")[-2:] == [("probe", "103"), ("watch", "103")]

    simulate(test)


def test_a_rewind_is_also_noticed_when_the_server_answers_with_an_older_list_than_asked_for() -> None:
    async def test() -> None:
        api = three()
        async with bench(api, stream_lists=False) as b:
            await b.informer.wait_synced()
            await b.settle()
            api.save()
            for _ in range(5):
                api.put("x")
            await b.settle()
            api.restore(RESET)
            api.put("after")
            await b.settle(200)
            b.check()

    simulate(test)


def test_a_bookmark_from_the_past_is_looked_into_with_a_probe() -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.streams[0].send(api.bookmark(50))
            await b.settle(5)
            b.check()
            assert api.said() == [("watchlist", ""), ("probe", "103"), ("watch", "103")]
            assert b.informer.store.rv == 103

    simulate(test)


def test_a_lag_while_listing_again_is_waited_for_and_a_persistent_one_gives_up_the_old_version() -> None:
    async def test() -> None:
        api = three()
        async with bench(api, stream_lists=False) as b:
            await b.informer.wait_synced()
            await b.settle()
            api.fail("list", *[too_large()] * 100)
            api.streams[0].send(b"{}\n")  # unreadable: any list not older than ours will do
            await b.settle(25)
            assert {rv for _, rv in api.said("list")} == {"", "103"}
            await b.settle(10)
            assert api.said("list")[-1] == ("list", "")

    simulate(test)
