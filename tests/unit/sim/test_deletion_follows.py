"""What follows a deletion: dependents, orphans, namespaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from rbgctrl.api.meta import Key
from rbgctrl.sim.gc import GarbageCollector, NamespaceController
from rbgctrl.sim.loop import run
from unit.sim.servers import CONFIG_MAPS, MERGE, PODS, Obj, Talk, config_map, pod, server


@asynccontextmanager
async def cluster() -> AsyncIterator[Talk]:
    api = server()
    controllers = GarbageCollector(api), NamespaceController(api)
    try:
        yield Talk(api)
    finally:
        for controller in controllers:
            controller.close()


async def settle() -> None:
    await asyncio.sleep(1)


def owner(obj: Obj, *, block: bool = True) -> Obj:
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "blockOwnerDeletion": block,
    }


async def family(talk: Talk) -> Obj:
    """A parent, a child and a grandchild."""
    parent = await talk.send("POST", CONFIG_MAPS, config_map("parent"))
    child = await talk.send("POST", CONFIG_MAPS, config_map("child", ownerReferences=[owner(parent)]))
    await talk.send("POST", CONFIG_MAPS, config_map("grandchild", ownerReferences=[owner(child)]))
    return parent


async def left(talk: Talk, path: str = CONFIG_MAPS) -> list[str]:
    return [item["metadata"]["name"] for item in (await talk.send("GET", path))["items"]]


def in_cluster(body: Callable[[Talk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with cluster() as talk:
            await body(talk)

    run(main())


def test_dependents_follow_their_owner() -> None:
    async def body(talk: Talk) -> None:
        await family(talk)
        await talk.send("DELETE", f"{CONFIG_MAPS}/parent")
        assert await left(talk) == ["child", "grandchild"]
        await settle()
        assert await left(talk) == []

    in_cluster(body)


def test_in_the_foreground_the_owner_goes_last() -> None:
    async def body(talk: Talk) -> None:
        await family(talk)
        going = await talk.send("DELETE", f"{CONFIG_MAPS}/parent", {"propagationPolicy": "Foreground"})
        assert going["metadata"]["finalizers"] == ["foregroundDeletion"]
        await settle()
        assert await left(talk) == []
        order = [event.key.name for event in talk.server.storage.history if event.type == "DELETED"]
        assert order == ["grandchild", "child", "parent"]

    in_cluster(body)


def test_a_dependent_that_is_held_holds_an_owner_that_waits() -> None:
    async def body(talk: Talk) -> None:
        parent = await talk.send("POST", CONFIG_MAPS, config_map("parent"))
        held = config_map("child", ownerReferences=[owner(parent)], finalizers=["x.io/y"])
        await talk.send("POST", CONFIG_MAPS, held)
        await talk.send("DELETE", f"{CONFIG_MAPS}/parent", {"propagationPolicy": "Foreground"})
        await settle()
        assert await left(talk) == ["child", "parent"]
        await talk.send("PATCH", f"{CONFIG_MAPS}/child", {"metadata": {"finalizers": None}}, MERGE)
        await settle()
        assert await left(talk) == []

    in_cluster(body)


def test_orphans_stay_without_their_owner() -> None:
    async def body(talk: Talk) -> None:
        await family(talk)
        await talk.send("DELETE", f"{CONFIG_MAPS}/parent", {"propagationPolicy": "Orphan"})
        await settle()
        assert await left(talk) == ["child", "grandchild"]
        child = await talk.send("GET", f"{CONFIG_MAPS}/child")
        assert "ownerReferences" not in child["metadata"]

    in_cluster(body)


def test_of_two_owners_one_is_enough_and_the_other_is_forgotten() -> None:
    async def body(talk: Talk) -> None:
        one = await talk.send("POST", CONFIG_MAPS, config_map("one"))
        two = await talk.send("POST", CONFIG_MAPS, config_map("two"))
        await talk.send("POST", CONFIG_MAPS, config_map("child", ownerReferences=[owner(one), owner(two)]))
        await talk.send("DELETE", f"{CONFIG_MAPS}/one")
        await settle()
        child = await talk.send("GET", f"{CONFIG_MAPS}/child")
        assert [item["name"] for item in child["metadata"]["ownerReferences"]] == ["two"]

    in_cluster(body)


def test_an_owner_of_the_same_name_but_another_uid_adopts_nobody() -> None:
    async def body(talk: Talk) -> None:
        real = await talk.send("POST", CONFIG_MAPS, config_map("owner"))
        fake = {**owner(real), "uid": "another"}
        await talk.send("POST", CONFIG_MAPS, config_map("child", ownerReferences=[fake]))
        await settle()
        assert await left(talk) == ["owner"]

    in_cluster(body)


def test_an_owner_of_a_kind_nobody_serves_is_taken_at_its_word() -> None:
    async def body(talk: Talk) -> None:
        foreign = {"apiVersion": "example.com/v1", "kind": "Thing", "name": "x", "uid": "y"}
        await talk.send("POST", CONFIG_MAPS, config_map("child", ownerReferences=[foreign]))
        await settle()
        assert await left(talk) == ["child"]

    in_cluster(body)


def test_a_collector_that_starts_late_knows_what_was_there() -> None:
    async def main() -> None:
        talk = Talk(server())
        await family(talk)
        collector = GarbageCollector(talk.server)
        await talk.send("DELETE", f"{CONFIG_MAPS}/parent")
        await settle()
        assert await left(talk) == []
        assert collector.idle
        collector.close()

    run(main())


def test_a_namespace_goes_when_its_content_is_gone_and_takes_nothing_new_meanwhile() -> None:
    async def body(talk: Talk) -> None:
        await talk.send("POST", CONFIG_MAPS, config_map("a"))
        await talk.send("POST", PODS, pod("p", node="n"))
        going = await talk.send("DELETE", "/api/v1/namespaces/default")
        assert going["status"]["phase"] == "Terminating"
        refused: Any = await talk.send("POST", CONFIG_MAPS, config_map("b"))
        assert (talk.code, refused["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
        await settle()
        assert await left(talk) == []
        assert talk.server.get("namespaces", Key("", "default")) is not None
        await talk.send("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        await settle()
        assert talk.server.get("namespaces", Key("", "default")) is None
        await talk.send("POST", CONFIG_MAPS, config_map("b"))
        assert talk.code == 404

    in_cluster(body)
