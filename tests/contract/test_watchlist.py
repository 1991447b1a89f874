"""Streamed lists: ``sendInitialEvents`` and the bookmark that ends them."""

from __future__ import annotations

import pytest

from contract.support import Api, Kind, Obj, Secret, case, group, kinds, metadata, together
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.client import Bookmark, InvalidError, decode_event

END = {"k8s.io/initial-events-end": "true"}
FULL = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
    "timeoutSeconds": "20",
}
BOTH: tuple[tuple[Kind, Obj], ...] = ((RoleBasedGroup, group("a")), (Secret, {"metadata": metadata("a")}))


def named(body: Obj, name: str, **more: object) -> Obj:
    return {**body, "metadata": metadata(name, **more)}


@kinds(*BOTH)
@case
async def test_the_list_comes_in_order_of_names_and_ends_with_a_bookmark(api: Api, kind: Kind, body: Obj) -> None:
    made = [await api.create(kind, named(body, name)) for name in ("c", "a", "b")]
    await api.patch(kind, "a", {"metadata": {"labels": {"x": "y"}}})
    async with api.watch(kind, send_initial_events=True) as watch:
        events, end = await watch.initial()
        assert [(event.type, event.name) for event in events] == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]
        assert end.object["metadata"]["annotations"] == END
        assert int(end.rv) >= max(int(event.rv) for event in events)
        assert end.object["kind"] == kind.KIND.kind
        assert events[2].object == made[0]
        await api.delete(kind, "b")
        gone = await watch.change()
        assert (gone.type, gone.name) == ("DELETED", "b")
        assert int(gone.rv) > int(end.rv)


@kinds(*BOTH)
@case
async def test_an_empty_list_is_only_the_bookmark(api: Api, kind: Kind, body: Obj) -> None:
    async with api.watch(kind, send_initial_events=True) as watch:
        events, end = await watch.initial()
        assert events == []
        assert end.object["metadata"]["annotations"] == END
        await api.create(kind, body)
        assert await watch.changes(1) == [("ADDED", "a")]


@case
async def test_the_list_is_not_older_than_the_writes_before_it(api: Api) -> None:
    for round_ in range(5):
        name = f"s{round_}"
        made = await api.create(Secret, {"metadata": metadata(name)})
        async with api.watch(Secret, send_initial_events=True) as watch:
            events, end = await watch.initial()
            assert events[-1].object["metadata"]["name"] == name
            assert int(end.rv) >= int(made["metadata"]["resourceVersion"])


@case
async def test_a_list_may_be_asked_to_be_as_new_as_a_version(api: Api) -> None:
    made = await api.create(Secret, {"metadata": metadata("a")})
    version = made["metadata"]["resourceVersion"]
    async with api.watch(Secret, send_initial_events=True, resource_version=version) as watch:
        events, end = await watch.initial()
        assert [event.name for event in events] == ["a"]
        assert int(end.rv) >= int(version)


@case
async def test_any_version_will_do_when_asked_for_none(api: Api) -> None:
    await api.create(Secret, {"metadata": metadata("a")})
    async with api.watch(Secret, send_initial_events=True, resource_version="0") as watch:
        events, end = await watch.initial()
        assert end.object["metadata"]["annotations"] == END
        assert [event.type for event in events] == ["ADDED"] * len(events)


@case
async def test_selectors_hold_for_the_list_and_what_follows(api: Api) -> None:
    await api.create(RoleBasedGroup, group("a", labels={"x": "1"}))
    await api.create(RoleBasedGroup, group("b"))
    async with api.watch(RoleBasedGroup, send_initial_events=True, label_selector="x=1") as watch:
        events, _ = await watch.initial()
        assert [event.name for event in events] == ["a"]
        await api.patch(RoleBasedGroup, "b", {"metadata": {"labels": {"x": "1"}}})
        assert await watch.changes(1) == [("ADDED", "b")]


@case
async def test_the_end_is_a_bookmark_to_our_client(api: Api) -> None:
    async with api.client.watch(RoleBasedGroup, api.namespace, timeout_seconds=20, send_initial_events=True) as stream:
        event = decode_event(RoleBasedGroup, await anext(aiter(stream)))
    assert isinstance(event.object, Bookmark)
    assert event.object.initial_events_end
    assert int(event.object.resource_version) > 0


@case
async def test_the_list_can_be_resumed_from_its_end(api: Api) -> None:
    await api.create(Secret, {"metadata": metadata("a")})
    async with api.watch(Secret, send_initial_events=True) as watch:
        _, end = await watch.initial()
    await api.create(Secret, {"metadata": metadata("b")})
    async with api.watch(Secret, resource_version=end.rv) as watch:
        assert await watch.changes(1) == [("ADDED", "b")]


@kinds(*BOTH)
@case
async def test_initial_events_without_a_match_are_invalid(api: Api, kind: Kind, body: Obj) -> None:
    query = {name: value for name, value in FULL.items() if name != "resourceVersionMatch"}
    with pytest.raises(InvalidError) as raised:
        async with api.stream(kind.KIND.path(api.namespace), **query):
            pass
    assert "resourceVersionMatch" in raised.value.message


@case
async def test_other_matches_are_invalid(api: Api) -> None:
    path = Secret.KIND.path(api.namespace)
    with pytest.raises(InvalidError):
        async with api.stream(path, **{**FULL, "resourceVersionMatch": "Exact"}):
            pass
    with pytest.raises(InvalidError):
        async with api.stream(path, resourceVersionMatch="NotOlderThan", resourceVersion="1"):
            pass


@together
async def test_without_bookmarks_the_end_never_comes(api: Api) -> None:
    await api.create(Secret, {"metadata": metadata("a")})
    query = {name: value for name, value in FULL.items() if name != "allowWatchBookmarks"}
    async with api.stream(Secret.KIND.path(api.namespace), **{**query, "timeoutSeconds": "1"}) as watch:
        assert [(event.type, event.name) for event in await watch.rest()] == [("ADDED", "a")]


@case
async def test_initial_events_can_be_declined(api: Api) -> None:
    made = await api.create(Secret, {"metadata": metadata("a")})
    query = {**FULL, "sendInitialEvents": "false", "resourceVersion": made["metadata"]["resourceVersion"]}
    async with api.stream(Secret.KIND.path(api.namespace), **query) as watch:
        await api.create(Secret, {"metadata": metadata("b")})
        assert await watch.changes(1) == [("ADDED", "b")]


@together
async def test_a_watch_that_ends_says_how_far_it_came(api: Api) -> None:
    made = await api.create(Secret, {"metadata": metadata("a")})
    query = {
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "3",
        "resourceVersion": made["metadata"]["resourceVersion"],
    }
    async with api.stream(Secret.KIND.path(api.namespace), **query) as watch:
        events = await watch.rest()
    assert {event.type for event in events} == {"BOOKMARK"}
    assert int(events[-1].rv) >= int(made["metadata"]["resourceVersion"])
    assert "annotations" not in events[-1].object["metadata"]
    assert not events[-1].object["metadata"].get("name")
