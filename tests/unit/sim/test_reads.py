"""Get and list: pages of one snapshot, versions past and future."""

from __future__ import annotations

import asyncio

from rbgctrl.sim.loop import run
from unit.sim.servers import CONFIG_MAPS, GROUPS, MERGE, Obj, Talk, config_map, group, server


def names(page: Obj) -> list[str]:
    return [item["metadata"]["name"] for item in page["items"]]


async def some(talk: Talk, *given: str) -> None:
    for name in given:
        await talk.send("POST", CONFIG_MAPS, config_map(name))


def test_pages_are_of_one_snapshot_whatever_happens_between_them() -> None:
    async def main() -> None:
        talk = Talk(server())
        await some(talk, "a", "b", "c", "d", "e")
        first = await talk.send("GET", CONFIG_MAPS, limit="2")
        assert names(first) == ["a", "b"]
        assert first["metadata"]["remainingItemCount"] == 3
        await talk.send("DELETE", f"{CONFIG_MAPS}/c")
        await talk.send("PATCH", f"{CONFIG_MAPS}/d", {"data": {"x": "1"}}, MERGE)
        await some(talk, "bb")
        second = await talk.send("GET", CONFIG_MAPS, **{"limit": "2", "continue": first["metadata"]["continue"]})
        assert names(second) == ["c", "d"]
        assert "data" not in second["items"][1]
        third = await talk.send("GET", CONFIG_MAPS, **{"limit": "2", "continue": second["metadata"]["continue"]})
        assert names(third) == ["e"]
        assert "continue" not in third["metadata"]
        assert {page["metadata"]["resourceVersion"] for page in (first, second, third)} == {
            first["metadata"]["resourceVersion"]
        }

    run(main())


def test_an_expired_page_is_gone_and_says_how_to_go_on_without_one_snapshot() -> None:
    async def main() -> None:
        talk = Talk(server())
        await some(talk, "a", "b", "c")
        first = await talk.send("GET", CONFIG_MAPS, limit="1")
        await some(talk, "d")
        talk.server.storage.compact(talk.server.storage.revision)
        gone = await talk.send("GET", CONFIG_MAPS, **{"continue": first["metadata"]["continue"]})
        assert (talk.code, gone["reason"]) == (410, "Expired")
        rest = await talk.send("GET", CONFIG_MAPS, **{"continue": gone["metadata"]["continue"]})
        assert names(rest) == ["b", "c", "d"]

    run(main())


def test_a_token_that_is_none_is_a_bad_request() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("GET", CONFIG_MAPS, **{"continue": "nonsense"})
        assert talk.code == 400
        token = (await talk.send("GET", CONFIG_MAPS, limit="1"))["metadata"].get("continue", "e30")
        await talk.send("GET", CONFIG_MAPS, **{"continue": token, "resourceVersion": "5"})
        assert talk.code == 400

    run(main())


def test_version_zero_is_answered_whole_and_an_exact_one_as_it_was() -> None:
    async def main() -> None:
        talk = Talk(server())
        await some(talk, "a", "b")
        then = str(talk.server.storage.revision)
        await some(talk, "c")
        assert names(await talk.send("GET", CONFIG_MAPS, limit="1", resourceVersion="0")) == ["a", "b", "c"]
        exact = await talk.send("GET", CONFIG_MAPS, resourceVersion=then, resourceVersionMatch="Exact")
        assert names(exact) == ["a", "b"]
        assert exact["metadata"]["resourceVersion"] == then
        assert len(names(await talk.send("GET", CONFIG_MAPS, resourceVersion=then))) == 3

    run(main())


def test_a_version_of_the_future_is_waited_for_three_seconds() -> None:
    async def main() -> None:
        talk, loop = Talk(server()), asyncio.get_running_loop()
        future = str(talk.server.storage.revision + 1)
        late = await talk.send("GET", CONFIG_MAPS, resourceVersion=future)
        assert (talk.code, loop.time()) == (504, 3.0)
        assert late["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
        assert talk.headers["Retry-After"] == "1"
        other = Talk(talk.server)
        reading = asyncio.create_task(other.send("GET", CONFIG_MAPS, resourceVersion=future))
        await asyncio.sleep(1)
        await some(talk, "a")
        assert names(await reading) == ["a"]

    run(main())


def test_items_of_built_in_kinds_do_not_repeat_their_type_and_those_of_others_do() -> None:
    async def main() -> None:
        talk = Talk(server())
        await some(talk, "a")
        await talk.send("POST", GROUPS, group("g"))
        (item,) = (await talk.send("GET", CONFIG_MAPS))["items"]
        assert "kind" not in item
        listed = await talk.send("GET", GROUPS)
        assert listed["kind"] == "RoleBasedGroupList"
        assert listed["items"][0]["kind"] == "RoleBasedGroup"
        single = await talk.send("GET", f"{CONFIG_MAPS}/a")
        assert single["kind"] == "ConfigMap"

    run(main())


def test_a_list_over_all_namespaces_and_of_one() -> None:
    async def main() -> None:
        talk = Talk(server())
        await some(talk, "a")
        await talk.send("POST", "/api/v1/namespaces/kube-public/configmaps", config_map("b"))
        assert names(await talk.send("GET", "/api/v1/configmaps")) == ["a", "b"]
        assert names(await talk.send("GET", CONFIG_MAPS)) == ["a"]
        assert names(await talk.send("GET", "/api/v1/namespaces/nowhere/configmaps")) == []
        await talk.send("GET", "/api/v1/configmaps/a")
        assert talk.code == 404

    run(main())


def test_resources_nobody_knows_are_not_found_and_those_nothing_needs_are_not_implemented() -> None:
    async def main() -> None:
        talk = Talk(server())
        for path, code in {
            "/api/v1/nothings": 404,
            "/apis/example.com/v1/nothings": 404,
            "/apis/workloads.x-k8s.io/v1alpha2/nothings": 404,
            "/nothing": 404,
            "/api/v1/persistentvolumes": 501,
            "/apis/batch/v1/jobs": 501,
            "/api/v1/namespaces/default/pods/a/log": 501,
        }.items():
            await talk.send("GET", path)
            assert (path, talk.code) == (path, code)
        await talk.send("GET", "/readyz")
        assert talk.code == 200

    run(main())
