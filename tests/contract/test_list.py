"""Lists: scope, order, selectors, pages, versions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contract.support import Api, Obj, Secret, case, config_map, group, instance, metadata, pod, together
from rbgctrl.api.core import ConfigMap, Node, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance
from rbgctrl.client import BadRequestError, InvalidError, NotFoundError, ServerTimeoutError

FUTURE = "900000000"


def rv(obj: Obj) -> int:
    return int(obj["metadata"]["resourceVersion"])


async def secrets(api: Api, *names: str, **labels: str) -> list[Obj]:
    return [await api.create(Secret, {"metadata": metadata(name, labels=labels)}) for name in names]


# -- scope and shape ---------------------------------------------------------------------------------------------------


@case
async def test_a_list_holds_one_namespace_in_order_of_names(api: Api) -> None:
    await api.within("default").create(RoleBasedGroup, group(api.namespace))
    made = [await api.create(RoleBasedGroup, group(name)) for name in ("b", "a-1", "a", "c", "a.b")]
    found = await api.list(RoleBasedGroup)
    assert (found["kind"], found["apiVersion"]) == ("RoleBasedGroupList", RoleBasedGroup.KIND.api_version)
    assert [item["metadata"]["name"] for item in found["items"]] == ["a", "a-1", "a.b", "b", "c"]
    assert rv(found) >= rv(made[-1])
    assert found["items"][0] == made[2]
    await api.within("default").delete(RoleBasedGroup, api.namespace)


@case
async def test_items_of_built_in_kinds_do_not_repeat_their_type(api: Api) -> None:
    await secrets(api, "a")
    found = await api.list(Secret)
    assert (found["kind"], found["apiVersion"]) == ("SecretList", "v1")
    assert not found["items"][0].keys() & {"kind", "apiVersion"}


@case
async def test_an_empty_list_has_items_and_a_version(api: Api) -> None:
    for kind in (RoleBasedGroup, Secret):
        found = await api.list(kind)
        assert found["items"] == []
        assert rv(found) > 0
    assert (await api.within("nowhere").list(Secret))["items"] == []


@case
async def test_all_namespaces_are_listed_in_order_of_namespace_slash_name(api: Api) -> None:
    other = f"{api.namespace}-b"
    await api.send("POST", "/api/v1/namespaces", body={"metadata": {"name": other}})
    for where in (api.within(other), api):
        for name in ("b", "a"):
            await where.create(RoleInstance, instance(name, labels={"case": api.namespace}))
    page = await api.client.list(RoleInstance, label_selector=f"case={api.namespace}")
    assert [(item.metadata.namespace, item.metadata.name) for item in page.items] == [
        (other, "a"),  # "-" comes before "/"
        (other, "b"),
        (api.namespace, "a"),
        (api.namespace, "b"),
    ]
    await api.send("DELETE", f"/api/v1/namespaces/{other}")


@case
async def test_a_list_of_a_kind_nobody_knows_is_not_found(api: Api) -> None:
    for path in (
        "/api/v1/nothing",
        f"/api/v1/namespaces/{api.namespace}/nothing",
        "/apis/workloads.x-k8s.io/v1alpha2/nothing",
        "/apis/workloads.x-k8s.io/v9/rolebasedgroups",
        "/apis/example.com/v1/things",
    ):
        with pytest.raises(NotFoundError):
            await api.send("GET", path)


@case
async def test_what_is_not_there_is_named_in_the_refusal(api: Api) -> None:
    for kind in (ConfigMap, RoleBasedGroup, Pod):
        with pytest.raises(NotFoundError) as raised:
            await api.get(kind, "nothing")
        assert raised.value.status == 404
        assert raised.value.reason == "NotFound"
        assert raised.value.message == f'{kind.KIND.resource} "nothing" not found'


@case
async def test_metadata_alone_can_be_asked_for(api: Api) -> None:
    await api.create(RoleBasedGroup, group("a", labels={"b": "c"}))
    found = await api.client.list(RoleBasedGroup, api.namespace)
    assert found.items[0].metadata.labels == {"b": "c"}


# -- label selectors ---------------------------------------------------------------------------------------------------

LABELS = {"a": {"x": "1"}, "b": {"x": "2", "y": "1"}, "c": {"y": "2"}, "d": {}, "e": {"x": "", "example.com/z": "1"}}
SELECTORS = {
    "x": "abe",
    "!x": "cd",
    "x=1": "a",
    "x==1": "a",
    "x!=1": "bcde",
    "x=": "e",
    "x in (1,2)": "ab",
    "x in (1)": "a",
    "x notin (1, 2)": "cde",
    "x,y": "b",
    "x=2,y=1": "b",
    "x=2,y=2": "",
    "x, !y": "ae",
    "y notin (1),y": "c",
    "example.com/z": "e",
    "example.com/z=1,x": "e",
    "nothing": "",
    "!nothing": "abcde",
    "": "abcde",
}


@case
async def test_label_selectors_choose(api: Api) -> None:
    for name, labels in LABELS.items():
        await api.create(RoleBasedGroup, group(name, labels=labels))
    found = {text: "".join(await api.names(RoleBasedGroup, labelSelector=text)) for text in SELECTORS}
    assert found == SELECTORS


@pytest.mark.parametrize("text", ["x in", "x in (1", "=1", "x=1=2", "x y", "x in ()y", "x=a b", "-x", "x>a", "a/b/c"])
@case
async def test_a_label_selector_that_cannot_be_read_is_a_bad_request(api: Api, text: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        await api.list(RoleBasedGroup, labelSelector=text)
    assert raised.value.reason == "BadRequest"


@case
async def test_labels_are_compared_as_numbers_on_request(api: Api) -> None:
    for name, value in (("a", "1"), ("b", "20"), ("c", "3"), ("d", "x")):
        await api.create(RoleBasedGroup, group(name, labels={"n": value}))
    assert await api.names(RoleBasedGroup, labelSelector="n>2") == ["b", "c"]
    assert await api.names(RoleBasedGroup, labelSelector="n<20") == ["a", "c"]


# -- field selectors ---------------------------------------------------------------------------------------------------


@case
async def test_every_kind_is_selected_by_name_and_namespace(api: Api) -> None:
    for name in ("a", "b"):
        await api.create(RoleBasedGroup, group(name))
        await api.create(ConfigMap, config_map(name))
    for kind in (RoleBasedGroup, ConfigMap):
        assert await api.names(kind, fieldSelector="metadata.name=a") == ["a"]
        assert "a" not in await api.names(kind, fieldSelector="metadata.name!=a")
        assert await api.names(kind, fieldSelector=f"metadata.name=b,metadata.namespace={api.namespace}") == ["b"]
        assert await api.names(kind, fieldSelector="metadata.namespace=other") == []


@case
async def test_pods_are_selected_by_node_and_phase(api: Api) -> None:
    await api.create(Pod, pod("a"))
    await api.create(Pod, pod("b", {"nodeName": "nowhere"}))
    await api.patch(Pod, "b", {"status": {"phase": "Running"}}, subresource="status")
    chosen = {
        "spec.nodeName=nowhere": ["b"],
        "spec.nodeName=": ["a"],
        "spec.nodeName!=nowhere": ["a"],
        "status.phase=Pending": ["a"],
        "status.phase!=Pending": ["b"],
        "status.phase=Running,spec.nodeName=nowhere": ["b"],
        "spec.restartPolicy=Always": ["a", "b"],
        "spec.schedulerName=nobody": ["a", "b"],
        "metadata.name=a": ["a"],
    }
    assert {text: await api.names(Pod, fieldSelector=text) for text in chosen} == chosen


@case
async def test_a_field_that_cannot_be_selected_by_is_a_bad_request(api: Api) -> None:
    for kind, text, words in (
        (RoleBasedGroup, "spec.roles=a", "field label not supported: spec.roles"),
        (ConfigMap, "data.a=b", '"data.a" is not a known field selector'),
        (Pod, "spec.hostname=a", "field label not supported: spec.hostname"),
        (Pod, "metadata.labels=a", "field label not supported: metadata.labels"),
    ):
        with pytest.raises(BadRequestError, match=words):
            await api.list(kind, fieldSelector=text)


@case
async def test_selectors_are_joined(api: Api) -> None:
    await secrets(api, "a", "b", x="1")
    await secrets(api, "c", x="2")
    assert await api.names(Secret, labelSelector="x=1", fieldSelector="metadata.name!=a") == ["b"]


# -- pages -------------------------------------------------------------------------------------------------------------


async def pages(api: Api, **query: str) -> list[Obj]:
    found = [await api.list(Secret, **query)]
    while token := found[-1]["metadata"].get("continue"):
        kept = {name: value for name, value in query.items() if not name.startswith("resourceVersion")}
        found.append(await api.list(Secret, **kept, continue_=token))
    return found


@case
async def test_pages_are_of_one_snapshot(api: Api) -> None:
    await secrets(api, "a", "b", "c", "d", "e")
    first = await api.list(Secret, limit="2")
    await secrets(api, "aa", "cc")
    await api.delete(Secret, "d")
    second = await api.list(Secret, limit="2", continue_=first["metadata"]["continue"])
    third = await api.list(Secret, limit="2", continue_=second["metadata"]["continue"])
    names = [[item["metadata"]["name"] for item in page["items"]] for page in (first, second, third)]
    assert names == [["a", "b"], ["c", "d"], ["e"]]
    assert len({rv(page) for page in (first, second, third)}) == 1
    assert "continue" not in third["metadata"]
    assert [page["metadata"].get("remainingItemCount") for page in (first, second, third)] == [3, 1, None]


@case
async def test_the_limit_may_change_and_the_last_page_may_be_full(api: Api) -> None:
    await secrets(api, "a", "b", "c", "d")
    first = await api.list(Secret, limit="1")
    rest = await api.list(Secret, limit="3", continue_=first["metadata"]["continue"])
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b", "c", "d"]
    assert "continue" not in rest["metadata"]
    assert "continue" not in (await api.list(Secret, limit="4"))["metadata"]
    everything = await api.list(Secret, continue_=first["metadata"]["continue"])
    assert len(everything["items"]) == 3


@case
async def test_pages_of_a_selection_count_what_was_selected(api: Api) -> None:
    await secrets(api, "a", "c", "e", x="1")
    await secrets(api, "b", "d", x="2")
    found = await pages(api, limit="2", labelSelector="x=1")
    assert [[item["metadata"]["name"] for item in page["items"]] for page in found] == [["a", "c"], ["e"]]
    assert "remainingItemCount" not in found[0]["metadata"]


@case
async def test_our_client_reads_all_pages(api: Api) -> None:
    await secrets(api, "a", "b", "c")
    found = [page async for page in api.client.pages(Secret, api.namespace, limit=2)]
    assert [[item.metadata.name for item in page.items] for page in found] == [["a", "b"], ["c"]]
    whole = await api.client.list(Secret, api.namespace)
    assert [item.metadata.name for item in whole.items] == ["a", "b", "c"]


@case
async def test_a_limit_is_ignored_from_the_cache(api: Api) -> None:
    await secrets(api, "a", "b", "c")
    found = await api.list(Secret, limit="1", resourceVersion="0")
    assert len(found["items"]) == 3
    assert "continue" not in found["metadata"]


@case
async def test_a_token_that_is_none_is_a_bad_request(api: Api) -> None:
    for token in ("nonsense", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ"):
        with pytest.raises(BadRequestError, match="continue"):
            await api.list(Secret, limit="1", continue_=token)


@case
async def test_a_token_and_a_version_exclude_each_other(api: Api) -> None:
    await secrets(api, "a", "b")
    first = await api.list(Secret, limit="1")
    with pytest.raises(BadRequestError, match="resource version"):
        await api.list(
            Secret,
            limit="1",
            continue_=first["metadata"]["continue"],
            resourceVersion=first["metadata"]["resourceVersion"],
        )


# -- versions ----------------------------------------------------------------------------------------------------------


@case
async def test_a_list_at_an_exact_version_shows_what_was(api: Api) -> None:
    (first,) = await secrets(api, "a")
    then = first["metadata"]["resourceVersion"]
    await secrets(api, "b")
    await api.patch(Secret, "a", {"metadata": {"labels": {"b": "c"}}})
    found = await api.list(Secret, resourceVersion=then, resourceVersionMatch="Exact")
    assert [item["metadata"] for item in found["items"]] == [first["metadata"]]
    assert found["metadata"]["resourceVersion"] == then
    paged = await api.list(Secret, resourceVersion=then, resourceVersionMatch="Exact", limit="5")
    assert len(paged["items"]) == 1


@case
async def test_a_list_not_older_than_a_version_is_as_new_or_newer(api: Api) -> None:
    await secrets(api, "a")
    (second,) = await secrets(api, "b")
    then = second["metadata"]["resourceVersion"]
    for match in ({"resourceVersionMatch": "NotOlderThan"}, {}):
        found = await api.list(Secret, resourceVersion=then, **match)
        assert len(found["items"]) == 2
        assert rv(found) >= int(then)


@together
async def test_a_list_from_the_future_times_out_and_says_so(api: Api) -> None:
    async def look(match: str) -> None:
        query = {"resourceVersion": FUTURE} | ({"resourceVersionMatch": match} if match else {})
        with pytest.raises(ServerTimeoutError) as raised:
            await api.list(Secret, **query)
        assert raised.value.status == 504
        assert raised.value.reason == "Timeout"
        assert raised.value.causes == ("ResourceVersionTooLarge",)
        assert raised.value.retry_after == 1
        assert raised.value.message.startswith(f"Timeout: Too large resource version: {FUTURE}, current: ")

    await asyncio.gather(*(look(match) for match in ("", "NotOlderThan", "Exact")))


@together
async def test_an_object_from_the_future_times_out_too(api: Api) -> None:
    made = await api.create(RoleBasedGroup, group("a"))
    with pytest.raises(ServerTimeoutError) as raised:
        await api.get(RoleBasedGroup, "a", {"resourceVersion": FUTURE})
    assert raised.value.causes == ("ResourceVersionTooLarge",)
    assert await api.get(RoleBasedGroup, "a", {"resourceVersion": made["metadata"]["resourceVersion"]}) == made


VERSION_MISTAKES: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "a match without a version": ({"resourceVersionMatch": "Exact"}, InvalidError),
    "an unknown match": ({"resourceVersion": "1", "resourceVersionMatch": "Some"}, InvalidError),
    "exactly any version": ({"resourceVersion": "0", "resourceVersionMatch": "Exact"}, InvalidError),
    "a version that is no number": ({"resourceVersion": "abc"}, BadRequestError),
    "initial events of a list": ({"sendInitialEvents": "true"}, InvalidError),
}


@pytest.mark.parametrize(("query", "error"), VERSION_MISTAKES.values(), ids=VERSION_MISTAKES)
@case
async def test_contradictions_about_versions_are_refused(
    api: Api, query: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await api.list(Secret, **query)


@case
async def test_cluster_scoped_kinds_are_listed_too(api: Api) -> None:
    name = f"node-{api.namespace}"
    await api.create(Node, {"metadata": metadata(name, labels={"case": api.namespace})})
    assert await api.names(Node, labelSelector=f"case={api.namespace}") == [name]
    await api.delete(Node, name)
