"""Large things: bodies that are refused, lists and lines that come whole."""

from __future__ import annotations

import pytest

from contract.support import Api, Secret, case, config_map, group, metadata, role
from rbgctrl.api.core import ConfigMap
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.client import RequestTooLargeError

MIB = 2**20


@case
async def test_a_body_beyond_three_mebibytes_is_too_large(api: Api) -> None:
    with pytest.raises(RequestTooLargeError) as raised:
        await api.create(ConfigMap, config_map("a", {"b": "x" * (3 * MIB + 1)}))
    assert raised.value.status == 413
    assert raised.value.reason == "RequestEntityTooLarge"


@case
async def test_a_list_beyond_a_compressed_answer_comes_whole(api: Api) -> None:
    text = "x" * 60_000
    for name in "abcd":
        await api.create(ConfigMap, config_map(name, {"text": text}, labels={"case": "a"}))
    found = await api.list(ConfigMap, labelSelector="case=a")
    assert [item["data"]["text"] for item in found["items"]] == [text] * 4


@case
async def test_a_line_of_a_watch_may_be_long(api: Api) -> None:
    text = "x" * 900_000
    since = (await api.list(Secret))["metadata"]["resourceVersion"]
    async with api.watch(ConfigMap, resource_version=since, field_selector="metadata.name=a") as watch:
        await api.create(ConfigMap, config_map("a", {"text": text}))
        assert (await watch.change()).object["data"]["text"] == text


@case
async def test_a_group_of_many_roles_is_stored_in_order(api: Api) -> None:
    names = [f"role-{index}" for index in range(100)]
    made = await api.create(RoleBasedGroup, group("a", *(role(name) for name in names)))
    assert [item["name"] for item in made["spec"]["roles"]] == names
    applied = await api.apply(RoleBasedGroup, "b", group("b", *(role(name) for name in reversed(names))))
    assert [item["name"] for item in applied["spec"]["roles"]] == names[::-1]


@case
async def test_text_of_any_script_is_kept(api: Api) -> None:
    text = 'größe 模型 🚀 \u2028 " \\ \n\t\x7f'
    made = await api.create(ConfigMap, config_map("a", {"text": text}, annotations={"example.com/x": text}))
    assert made["data"]["text"] == text
    assert (await api.get(ConfigMap, "a"))["metadata"]["annotations"]["example.com/x"] == text
    patched = await api.patch(ConfigMap, "a", {"data": {"more": text}})
    assert patched["data"] == {"text": text, "more": text}


@case
async def test_many_objects_are_made_at_once(api: Api) -> None:
    names = [f"s{index:02}" for index in range(30)]
    for name in names:
        await api.create(Secret, {"metadata": metadata(name)})
    assert list(await api.names(Secret)) == names
