"""Watches: where they start, what they show, how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from contract.support import Api, Kind, Obj, Secret, case, config_map, group, instance, kinds, metadata, pod, together
from rbgctrl.api.core import ConfigMap, Node, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance
from rbgctrl.client import ApiStream, BadRequestError, InternalServerError, NotFoundError, PatchType, decode_event

SOME: tuple[tuple[Kind, Obj], ...] = (
    (RoleBasedGroup, group("a")),
    (RoleInstance, instance("a")),
    (ConfigMap, config_map("a")),
    (Secret, {"metadata": metadata("a")}),
    (Pod, pod("a")),
)


def rv(obj: Obj) -> str:
    return str(obj["metadata"]["resourceVersion"])


def labelled(obj: Obj, **labels: str) -> Obj:
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


async def start(api: Api) -> str:
    """A version from before everything the case does."""
    return str((await api.list(Secret))["metadata"]["resourceVersion"])


async def first(stream: ApiStream) -> AsyncIterator[bytes]:
    """Lines up to the first that is no bookmark."""
    async for line in stream:
        yield line
        if decode_event(Secret, line).type != "BOOKMARK":
            return


# -- what comes --------------------------------------------------------------------------------------------------------


@kinds(*SOME)
@case
async def test_a_life_is_shown_in_order_as_it_was_answered(api: Api, kind: Kind, body: Obj) -> None:
    since = await start(api)
    async with api.watch(kind, resource_version=since, field_selector="metadata.name=a") as watch:
        made = await api.create(kind, body)
        changed = await api.patch(kind, "a", {"metadata": {"labels": {"b": "c"}}})
        added, modified = await watch.change(), await watch.change()
        assert (added.type, added.object) == ("ADDED", made)
        assert (modified.type, modified.object) == ("MODIFIED", changed)
        await api.delete(kind, "a")
        while (event := await watch.change()).type != "DELETED":  # a pod is marked first
            assert event.object["metadata"]["deletionTimestamp"]
        assert int(event.rv) > int(rv(changed))
        assert event.object["metadata"]["uid"] == made["metadata"]["uid"]
        assert event.object["metadata"]["labels"] == {"b": "c"}


@case
async def test_a_watch_shows_exactly_what_came_after_its_version(api: Api) -> None:
    await api.create(Secret, {"metadata": metadata("a")})
    second = await api.create(Secret, {"metadata": metadata("b")})
    await api.create(Secret, {"metadata": metadata("c")})
    await api.patch(Secret, "a", {"metadata": {"labels": {"x": "y"}}})
    await api.delete(Secret, "b")
    async with api.watch(Secret, resource_version=rv(second)) as watch:
        assert await watch.changes(3) == [("ADDED", "c"), ("MODIFIED", "a"), ("DELETED", "b")]
        await api.create(Secret, {"metadata": metadata("d")})
        assert await watch.changes(1) == [("ADDED", "d")]


@case
async def test_versions_in_a_watch_only_grow(api: Api) -> None:
    since = await start(api)
    for name in "abc":
        await api.create(Secret, {"metadata": metadata(name)})
        await api.patch(Secret, name, {"metadata": {"labels": {"x": "y"}}})
    async with api.watch(Secret, resource_version=since) as watch:
        seen = [int((await watch.change()).rv) for _ in range(6)]
    assert seen == sorted(set(seen))
    assert seen[0] > int(since)


@case
async def test_a_watch_without_a_version_begins_with_what_is_there(api: Api) -> None:
    for name in "ba":
        await api.create(Secret, {"metadata": metadata(name)})
    async with api.watch(Secret) as watch:
        first = await watch.changes(2)
        assert sorted(first) == [("ADDED", "a"), ("ADDED", "b")]
        await api.delete(Secret, "a")
        assert await watch.changes(1) == [("DELETED", "a")]


@case
async def test_a_watch_from_any_version_begins_with_what_is_there(api: Api) -> None:
    await api.create(Secret, {"metadata": metadata("a")})
    async with api.watch(Secret, resource_version="0") as watch:
        assert await watch.changes(1) == [("ADDED", "a")]


@case
async def test_what_changes_nothing_is_not_shown(api: Api) -> None:
    made = await api.apply(RoleBasedGroup, "a", group("a"))
    async with api.watch(RoleBasedGroup, resource_version=rv(made)) as watch:
        await api.apply(RoleBasedGroup, "a", group("a"))
        await api.patch(RoleBasedGroup, "a", {})
        await api.patch(RoleBasedGroup, "a", {"spec": {"roles": made["spec"]["roles"]}})
        await api.patch(RoleBasedGroup, "a", {"metadata": {"labels": {"b": "c"}}}, query={"dryRun": "All"})
        await api.delete(RoleBasedGroup, "a", resource_version=None, uid=made["metadata"]["uid"])
        assert await watch.changes(1) == [("DELETED", "a")]


@case
async def test_a_status_is_shown_in_watches_of_the_object(api: Api) -> None:
    made = await api.create(RoleBasedGroup, group("a"))
    async with api.watch(RoleBasedGroup, resource_version=rv(made)) as watch:
        status = {"observedGeneration": 1, "roleStatuses": []}
        changed = await api.patch(RoleBasedGroup, "a", {"status": status}, subresource="status")
        event = await watch.change()
        assert (event.type, event.object) == ("MODIFIED", changed)


@case
async def test_a_finalizers_end_is_shown_as_the_deletion(api: Api) -> None:
    made = await api.create(RoleBasedGroup, group("a", finalizers=["example.com/x"]))
    async with api.watch(RoleBasedGroup, resource_version=rv(made)) as watch:
        held = await api.delete(RoleBasedGroup, "a")
        event = await watch.change()
        assert (event.type, event.object) == ("MODIFIED", held)
        await api.patch(RoleBasedGroup, "a", {"metadata": {"finalizers": None}})
        gone = await watch.change()
        assert gone.type == "DELETED"
        assert gone.object["metadata"]["deletionTimestamp"]
        assert int(gone.rv) > int(rv(held))


@case
async def test_lines_are_decoded_by_our_client(api: Api) -> None:
    since = await start(api)
    async with api.client.watch(Secret, api.namespace, resource_version=since, timeout_seconds=50) as stream:
        await api.create(Secret, {"metadata": metadata("a")})
        lines = [line async for line in first(stream)]
    assert decode_event(Secret, lines[-1]).type == "ADDED"
    assert all(line.endswith(b"\n") for line in lines)


# -- scope -------------------------------------------------------------------------------------------------------------


@case
async def test_a_watch_of_one_namespace_shows_no_other(api: Api) -> None:
    since = await start(api)
    async with api.watch(Secret, resource_version=since) as watch:
        await api.within("default").create(Secret, {"metadata": metadata(api.namespace)})
        await api.within("default").delete(Secret, api.namespace)
        await api.create(Secret, {"metadata": metadata("a")})
        assert await watch.changes(1) == [("ADDED", "a")]


@case
async def test_a_watch_of_all_namespaces_shows_each(api: Api) -> None:
    since = await start(api)
    selector = f"case={api.namespace}"
    async with api.within("").watch(Secret, resource_version=since, label_selector=selector) as watch:
        for where in (api, api.within("default")):
            await where.create(Secret, {"metadata": metadata(api.namespace, labels={"case": api.namespace})})
        seen = [(await watch.change()).object["metadata"]["namespace"] for _ in range(2)]
        assert seen == [api.namespace, "default"]
    await api.within("default").delete(Secret, api.namespace)


@case
async def test_an_object_that_leaves_the_selection_is_shown_as_deleted_and_back_as_added(api: Api) -> None:
    since = await start(api)
    async with api.watch(RoleBasedGroup, resource_version=since, label_selector="x=1") as watch:
        await api.create(RoleBasedGroup, group("other"))
        await api.create(RoleBasedGroup, group("a", labels={"x": "1"}))
        await api.patch(RoleBasedGroup, "a", {"metadata": {"annotations": {"b": "c"}}})
        left = await api.patch(RoleBasedGroup, "a", {"metadata": {"labels": {"x": "2"}}})
        await api.patch(RoleBasedGroup, "a", {"metadata": {"annotations": {"b": "d"}}})
        await api.patch(RoleBasedGroup, "a", {"metadata": {"labels": {"x": "1"}}})
        events = [await watch.change() for _ in range(4)]
        assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED"]
        gone = events[2]
        assert gone.object["metadata"]["labels"] == {"x": "1"}
        assert gone.rv == rv(left)


@case
async def test_a_pod_that_is_bound_enters_the_watch_of_its_node(api: Api) -> None:
    since = await start(api)
    async with (
        api.watch(Pod, resource_version=since, field_selector="spec.nodeName=") as waiting,
        api.watch(Pod, resource_version=since, field_selector="spec.nodeName=nowhere") as bound,
    ):
        await api.create(Pod, pod("a"))
        binding = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "nowhere"}}
        await api.send("POST", Pod.KIND.path(api.namespace, "a", "binding"), body=binding)
        assert await waiting.changes(2) == [("ADDED", "a"), ("DELETED", "a")]
        assert await bound.changes(1) == [("ADDED", "a")]


@case
async def test_one_object_can_be_watched_by_name(api: Api) -> None:
    since = await start(api)
    async with api.watch(Secret, resource_version=since, field_selector="metadata.name=b") as watch:
        await api.create(Secret, {"metadata": metadata("a")})
        await api.create(Secret, {"metadata": metadata("b")})
        assert await watch.changes(1) == [("ADDED", "b")]


@case
async def test_a_cluster_scoped_kind_is_watched(api: Api) -> None:
    since, name = await start(api), f"node-{api.namespace}"
    async with api.watch(Node, resource_version=since, field_selector=f"metadata.name={name}") as watch:
        await api.create(Node, {"metadata": metadata(name)})
        assert (await watch.change()).type == "ADDED"
    await api.delete(Node, name)


# -- ends --------------------------------------------------------------------------------------------------------------


@together
async def test_a_watch_ends_cleanly_at_its_timeout(api: Api) -> None:
    since = await start(api)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with api.watch(Secret, resource_version=since, timeout_seconds=1) as watch:
        await api.create(Secret, {"metadata": metadata("a")})
        events = [event for event in await watch.rest() if event.type != "BOOKMARK"]
    assert [(event.type, event.name) for event in events] == [("ADDED", "a")]
    assert loop.time() - began >= 0.9


@together
async def test_a_watch_from_the_future_opens_and_stays_silent(api: Api) -> None:
    async with api.watch(Secret, resource_version="900000000", timeout_seconds=1) as watch:
        await api.create(Secret, {"metadata": metadata("a")})
        assert [event for event in await watch.rest() if event.type != "BOOKMARK"] == []


@case
async def test_many_watches_see_the_same(api: Api) -> None:
    since = await start(api)

    async def look() -> list[tuple[str, str]]:
        async with api.watch(Secret, resource_version=since) as watch:
            return await watch.changes(4)

    async def write() -> None:
        for name in "abcd":
            await api.create(Secret, {"metadata": metadata(name)})

    *seen, _ = await asyncio.gather(*(look() for _ in range(8)), write())
    assert seen == [[("ADDED", name) for name in "abcd"]] * 8


@case
async def test_a_patch_of_every_sort_is_one_event(api: Api) -> None:
    made = await api.create(Pod, pod("a"))
    async with api.watch(Pod, resource_version=rv(made)) as watch:
        await api.patch(Pod, "a", {"metadata": {"labels": {"x": "1"}}})
        add = {"op": "add", "path": "/metadata/labels/y", "value": "1"}
        await api.patch(Pod, "a", [add], type=PatchType.JSON)
        await api.patch(Pod, "a", {"metadata": {"labels": {"z": "1"}}}, type=PatchType.STRATEGIC)
        await api.apply(Pod, "a", {"metadata": {"labels": {"w": "1"}}})
        await api.patch(Pod, "a", {"status": {"phase": "Running"}}, subresource="status")
        events = [await watch.change() for _ in range(5)]
    assert [len(event.object["metadata"]["labels"]) for event in events] == [1, 2, 3, 4, 4]
    assert {event.type for event in events} == {"MODIFIED"}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@case
async def test_a_watch_of_a_kind_nobody_knows_is_refused_not_streamed(api: Api) -> None:
    with pytest.raises(NotFoundError):
        async with api.stream("/apis/example.com/v1/things"):
            pass


@case
async def test_a_watch_with_a_selector_that_cannot_be_read_is_refused(api: Api) -> None:
    with pytest.raises(BadRequestError):
        async with api.watch(Secret, label_selector="x in"):
            pass


@case
async def test_a_watch_with_a_version_that_is_no_number_is_refused(api: Api) -> None:
    with pytest.raises(InternalServerError, match="resourceVersion: Invalid value"):
        async with api.watch(Secret, resource_version="abc"):
            pass
