"""The past that a server no longer has: old versions and old continue tokens.

On the real control plane this takes a cluster of its own, whose database is compacted and whose API server is
restarted; all cases prepare, then that happens once, then all cases look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from contract.support import Api, Secret, group, metadata, together
from e2e.support.plugin import CRDS
from hack.controlplane import Cluster, ClusterOptions
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.client import ConflictError, ErrorStatus, GoneError, decode_event


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Stands in for the shared one, because its past is taken away."""
    own = Cluster(ClusterOptions(nodes=0, gang=False, crds=(CRDS,)), state=tmp_path_factory.mktemp("expiry"))
    asyncio.run(own.start())
    try:
        yield own
    finally:
        asyncio.run(own.stop())


async def some(api: Api, *names: str) -> str:
    """Create a few objects; a version from between them."""
    then = ""
    for name in names:
        made = await api.create(RoleBasedGroup, group(name))
        then = then or made["metadata"]["resourceVersion"]
        await api.create(Secret, {"metadata": metadata(name)})
    return then


@together
async def test_a_watch_from_a_forgotten_version_opens_and_says_gone_in_the_stream(api: Api) -> None:
    then = await some(api, "a", "b")
    await api.expire()
    for kind in (RoleBasedGroup, Secret):
        async with api.watch(kind, resource_version=then) as watch:
            (event,) = await watch.rest()
        assert event.type == "ERROR"
        assert event.object["kind"] == "Status"
        assert event.object["status"] == "Failure"
        assert event.object["code"] == 410
        assert event.object["reason"] == "Expired"
        assert f"too old resource version: {then} (" in event.object["message"]


@together
async def test_our_client_reads_that_as_an_error_to_list_again(api: Api) -> None:
    then = await some(api, "a")
    await some(api, "b")
    await api.expire()
    async with api.client.watch(RoleBasedGroup, api.namespace, resource_version=then, timeout_seconds=20) as stream:
        event = decode_event(RoleBasedGroup, await anext(aiter(stream)))
    assert event.type == "ERROR"
    assert isinstance(event.object, ErrorStatus)
    assert isinstance(event.object.to_error(), GoneError)


@together
async def test_a_list_at_a_forgotten_version_is_gone(api: Api) -> None:
    then = await some(api, "a", "b")
    await api.expire()
    for kind in (RoleBasedGroup, Secret):
        with pytest.raises(GoneError) as raised:
            await api.list(kind, resourceVersion=then, resourceVersionMatch="Exact")
        assert raised.value.status == 410
        assert raised.value.reason == "Expired"
        assert raised.value.message == "The resourceVersion for the provided list is too old."


@together
async def test_a_forgotten_version_is_old_enough_for_not_older_than(api: Api) -> None:
    then = await some(api, "a", "b")
    await api.expire()
    for query in ({"resourceVersionMatch": "NotOlderThan"}, {}):
        found = await api.list(RoleBasedGroup, resourceVersion=then, **query)
        assert len(found["items"]) == 2
    assert (await api.get(RoleBasedGroup, "a", {"resourceVersion": then}))["metadata"]["name"] == "a"


@together
async def test_a_streamed_list_from_a_forgotten_version_is_fresh(api: Api) -> None:
    then = await some(api, "a", "b")
    await api.expire()
    async with api.watch(RoleBasedGroup, send_initial_events=True, resource_version=then) as watch:
        events, end = await watch.initial()
    assert [event.name for event in events] == ["a", "b"]
    assert int(end.rv) > int(then)


@together
async def test_a_token_of_a_forgotten_snapshot_is_gone(api: Api) -> None:
    await some(api, "a", "b", "c")
    token = (await api.list(Secret, limit="1"))["metadata"]["continue"]
    await api.create(Secret, {"metadata": metadata("d")})
    await api.expire()
    with pytest.raises(GoneError) as raised:
        await api.list(Secret, limit="1", continue_=token)
    assert raised.value.reason == "Expired"
    assert raised.value.message.startswith(
        "The provided continue parameter is too old to display a consistent list result. "
        "You can start a new list without the continue parameter"
    )


@together
async def test_our_client_starts_again_when_its_snapshot_is_forgotten(api: Api) -> None:
    await some(api, "a", "b", "c")
    pages = api.client.pages(Secret, api.namespace, limit=2)
    first = await anext(pages)
    assert len(first.items) == 2
    await api.create(Secret, {"metadata": metadata("d")})
    await api.expire()
    with pytest.raises(GoneError):
        await anext(pages)
    whole = await api.client.list(Secret, api.namespace)
    assert [item.metadata.name for item in whole.items] == ["a", "b", "c", "d"]


@together
async def test_nothing_that_exists_is_forgotten(api: Api) -> None:
    made = await api.create(RoleBasedGroup, group("a"))
    await api.create(RoleBasedGroup, group("b"))
    await api.expire()
    assert await api.get(RoleBasedGroup, "a") == made
    found = await api.list(RoleBasedGroup)
    assert [item["metadata"]["name"] for item in found["items"]] == ["a", "b"]
    async with api.watch(RoleBasedGroup, resource_version=found["metadata"]["resourceVersion"]) as watch:
        changed = await api.patch(RoleBasedGroup, "a", {"metadata": {"labels": {"x": "y"}}})
        event = await watch.change()
    assert (event.type, event.object) == ("MODIFIED", changed)
    fence = {"resourceVersion": made["metadata"]["resourceVersion"]}
    with pytest.raises(ConflictError, match="the object has been modified"):
        await api.patch(RoleBasedGroup, "a", {"metadata": {**fence, "labels": {"x": "z"}}})
