"""Kinds that come with a CustomResourceDefinition, ours and any other.

A server takes a moment to serve a new kind, so these cases run at the same time.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from contract.support import Api, Obj, metadata, together
from rbgctrl.api.core import CustomResourceDefinition
from rbgctrl.api.meta import Key, Kind, Resource
from rbgctrl.cli.crds import served
from rbgctrl.client import InvalidError, NotFoundError, UnsupportedMediaTypeError
from rbgctrl.crds import documents


def definition(api: Api, **schema: object) -> Obj:
    """A CRD of a group that belongs to the case."""
    group = f"{api.namespace}.example.com"
    names = {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing", "shortNames": ["th"]}
    properties = {
        "size": {"type": "integer", "minimum": 1, "default": 3},
        "colour": {"type": "string", "enum": ["red", "blue"]},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "parts": {
            "type": "array",
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    }
    spec = {"type": "object", "properties": properties, **schema}
    root = {"type": "object", "properties": {"spec": spec, "status": {"type": "object"}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    version["subresources"] = {"status": {}}
    body = {"group": group, "names": names, "scope": "Namespaced", "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata(f"things.{group}"),
        "spec": body,
    }


def kind_of(api: Api) -> type[Resource]:
    """The type for objects of the case's definition."""

    class Thing(Resource, frozen=True, gc=False):
        KIND: ClassVar[Kind[Any]] = Kind(f"{api.namespace}.example.com", "v1", "Thing", "things")

    return Thing


async def installed(api: Api, body: Obj) -> Obj:
    name = body["metadata"]["name"]
    await api.apply(CustomResourceDefinition, name, body)
    await served(api.client, [body], within=50)
    return await api.get(CustomResourceDefinition, name)


async def remove(api: Api, body: Obj) -> None:
    await api.delete(CustomResourceDefinition, body["metadata"]["name"])


@together
async def test_our_definitions_are_served_and_installing_them_again_changes_nothing(api: Api) -> None:
    for body in documents():
        name = body["metadata"]["name"]
        first = await api.apply(CustomResourceDefinition, name, body, force=True)
        again = await api.apply(CustomResourceDefinition, name, body, force=True)
        assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        assert again["spec"]["versions"][0]["schema"] == body["spec"]["versions"][0]["schema"]
    await served(api.client, list(documents()), within=50)


@together
async def test_a_new_definition_is_established_and_served(api: Api) -> None:
    body = definition(api)
    found = await installed(api, body)
    true = {item["type"] for item in found["status"]["conditions"] if item["status"] == "True"}
    assert {"NamesAccepted", "Established"} <= true
    assert found["status"]["acceptedNames"] == body["spec"]["names"]
    assert found["status"]["storedVersions"] == ["v1"]
    assert found["spec"]["conversion"] == {"strategy": "None"}
    resources = await api.send("GET", f"/apis/{api.namespace}.example.com/v1")
    assert [item["name"] for item in resources["resources"]] == ["things", "things/status"]
    await remove(api, body)


@together
async def test_objects_of_a_new_kind_follow_its_schema(api: Api) -> None:
    body = definition(api)
    await installed(api, body)
    thing = kind_of(api)
    made = await api.create(thing, {"metadata": metadata("a"), "spec": {"unknown": 1, "free": {"unknown": 1}}})
    assert made["spec"] == {"size": 3, "free": {"unknown": 1}}
    mistakes: list[Obj] = [{"size": 0}, {"size": "1"}, {"colour": "green"}, {"parts": [{}]}]
    for wrong in mistakes:
        with pytest.raises(InvalidError):
            await api.create(thing, {"metadata": metadata("b"), "spec": wrong})
    with pytest.raises(InvalidError, match="Duplicate value"):
        await api.create(thing, {"metadata": metadata("b"), "spec": {"parts": [{"name": "x"}, {"name": "x"}]}})
    await api.apply(thing, "a", {"spec": {"parts": [{"name": "x"}]}})
    both = await api.manager("them").apply(thing, "a", {"spec": {"parts": [{"name": "y"}]}})
    assert [item["name"] for item in both["spec"]["parts"]] == ["x", "y"]
    changed = await api.patch(thing, "a", {"status": {"ok": 1}, "spec": {"size": 9}}, subresource="status")
    assert changed["spec"]["size"] == 3
    with pytest.raises(UnsupportedMediaTypeError):
        await api.send(
            "PATCH",
            thing.KIND.path(api.namespace, "a"),
            body={},
            content_type="application/strategic-merge-patch+json",
        )
    await remove(api, body)


@together
async def test_a_definition_that_goes_takes_its_objects_along(api: Api) -> None:
    body = definition(api)
    await installed(api, body)
    thing = kind_of(api)
    await api.create(thing, {"metadata": metadata("a")})
    await remove(api, body)
    await api.gone(CustomResourceDefinition, body["metadata"]["name"])
    async with asyncio.timeout(50):
        while True:
            try:
                await api.client.get(thing, Key(api.namespace, "a"))
            except NotFoundError:
                break
            await asyncio.sleep(0.1)


@together
async def test_a_changed_schema_holds_for_what_is_written_next(api: Api) -> None:
    body = definition(api)
    await installed(api, body)
    thing = kind_of(api)
    await api.create(thing, {"metadata": metadata("a"), "spec": {"size": 9}})
    stricter = definition(api)
    size = stricter["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]
    size["maximum"] = 5
    await api.apply(CustomResourceDefinition, body["metadata"]["name"], stricter, force=True)
    async with asyncio.timeout(50):
        while (refusal := await refused(api, thing)) == "":  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.1)
    assert "spec.size" in refusal
    assert (await api.get(thing, "a"))["spec"]["size"] == 9
    await remove(api, body)


async def refused(api: Api, thing: type[Resource]) -> str:
    """Why a size of 9 is refused; nothing when it is taken."""
    try:
        await api.create(thing, {"metadata": {"generateName": "b"}, "spec": {"size": 9}}, {"dryRun": "All"})
    except InvalidError as error:
        return error.message
    return ""


MISTAKES: dict[str, Obj] = {
    "a name that is not plural and group": {"metadata": {"name": "other.example.com"}},
    "no versions": {"spec": {"versions": []}},
    "an unknown scope": {"spec": {"scope": "Galaxy"}},
}


@together
async def test_a_definition_that_makes_no_sense_is_invalid(api: Api) -> None:
    for change in MISTAKES.values():
        body = definition(api)
        body["metadata"] |= change.get("metadata", {})
        body["spec"] |= change.get("spec", {})
        with pytest.raises(InvalidError):
            await api.create(CustomResourceDefinition, body)
