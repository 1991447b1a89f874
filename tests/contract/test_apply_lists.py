"""Server-side apply and lists: joined by key, as sets, or replaced as a whole, as each schema says."""

from __future__ import annotations

from typing import Any

import pytest

from contract.support import Api, Obj, case, config_map, group, instance, instance_set, metadata, pod, role, service
from rbgctrl.api.core import ConfigMap, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.client import ConflictError, InternalServerError


def names(obj: Obj) -> list[str]:
    return [item["name"] for item in obj["spec"]["roles"]]


def fields(obj: Obj, manager: str) -> Any:
    (found,) = (entry["fieldsV1"] for entry in obj["metadata"]["managedFields"] if entry["manager"] == manager)
    return found


def roles(*items: Obj) -> Obj:
    return {"spec": {"roles": list(items)}}


@case
async def test_another_manager_adds_a_role_of_its_own(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.apply(RoleBasedGroup, "a", group("a", role("one")))
    both = await theirs.apply(RoleBasedGroup, "a", roles(role("two")))
    assert names(both) == ["one", "two"]
    assert both["metadata"]["generation"] == 2
    again = await ours.apply(RoleBasedGroup, "a", group("a", role("one")))
    assert again == both


@case
async def test_a_role_goes_with_its_only_owner(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.apply(RoleBasedGroup, "a", group("a", role("one"), role("two")))
    await theirs.apply(RoleBasedGroup, "a", roles(role("three")))
    left = await ours.apply(RoleBasedGroup, "a", group("a", role("one")))
    assert names(left) == ["one", "three"]
    left = await theirs.apply(RoleBasedGroup, "a", {})
    assert names(left) == ["one"]


@case
async def test_a_role_with_two_owners_stays_while_one_wants_it(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.apply(RoleBasedGroup, "a", group("a", role("one"), role("two")))
    await theirs.apply(RoleBasedGroup, "a", roles({"name": "two", "annotations": {"x": "y"}}))
    left = await ours.apply(RoleBasedGroup, "a", group("a", role("one")))
    assert names(left) == ["one", "two"]
    (kept,) = (item for item in left["spec"]["roles"] if item["name"] == "two")
    assert kept == {
        "name": "two",
        "annotations": {"x": "y"},
        "replicas": 1,
        "minReadySeconds": 0,
        "podManagementPolicy": "Parallel",
    }


@case
async def test_one_field_of_a_role_is_anothers_to_scale(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.apply(RoleBasedGroup, "a", group("a", role("one", 2)))
    scale = roles({"name": "one", "replicas": 5})
    with pytest.raises(ConflictError) as raised:
        await theirs.apply(RoleBasedGroup, "a", scale)
    assert raised.value.message == 'Apply failed with 1 conflict: conflict with "us": .spec.roles[name="one"].replicas'
    scaled = await theirs.apply(RoleBasedGroup, "a", scale, force=True)
    assert scaled["spec"]["roles"][0]["replicas"] == 5
    own = role("one")
    del own["replicas"]
    kept = await ours.apply(RoleBasedGroup, "a", group("a", own))
    assert kept["spec"]["roles"][0]["replicas"] == 5
    reset = await theirs.apply(RoleBasedGroup, "a", {})
    assert reset["spec"]["roles"][0]["replicas"] == 1


@case
async def test_ownership_of_list_entries_is_recorded_by_key(api: Api) -> None:
    made = await api.manager("us").apply(RoleBasedGroup, "a", roles({"name": "one", "replicas": 2}))
    assert fields(made, "us") == {
        "f:spec": {"f:roles": {'k:{"name":"one"}': {".": {}, "f:name": {}, "f:replicas": {}}}}
    }


@case
async def test_a_create_owns_what_was_defaulted_an_apply_does_not(api: Api) -> None:
    made = await api.manager("us").create(RoleBasedGroup, {"metadata": metadata("a"), **roles({"name": "one"})})
    entry: Obj = {".": {}, "f:minReadySeconds": {}, "f:name": {}, "f:podManagementPolicy": {}, "f:replicas": {}}
    assert fields(made, "us") == {"f:spec": {".": {}, "f:roles": {".": {}, 'k:{"name":"one"}': entry}}}


@case
async def test_new_entries_come_in_the_order_applied_and_old_ones_keep_their_place(api: Api) -> None:
    await api.apply(RoleBasedGroup, "a", group("a", role("b"), role("d")))
    changed = await api.apply(RoleBasedGroup, "a", group("a", role("a"), role("b"), role("c"), role("d"), role("e")))
    assert names(changed) == ["a", "b", "c", "d", "e"]
    turned = await api.apply(RoleBasedGroup, "a", group("a", role("e"), role("a")))
    assert names(turned) == ["e", "a"]


@case
async def test_two_entries_of_one_key_cannot_be_applied(api: Api) -> None:
    with pytest.raises(InternalServerError, match=r'\.spec\.roles: duplicate entries for key \[name="one"\]'):
        await api.apply(RoleBasedGroup, "a", group("a", role("one"), role("one")))


@case
async def test_lists_without_keys_are_owned_and_replaced_as_a_whole(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]
    made = await ours.apply(RoleBasedGroup, "a", group("a", role("one", servicePorts=ports)))
    assert len(made["spec"]["roles"][0]["servicePorts"]) == 2
    less = await ours.apply(RoleBasedGroup, "a", group("a", role("one", servicePorts=ports[1:])))
    assert [item["port"] for item in less["spec"]["roles"][0]["servicePorts"]] == [81]
    with pytest.raises(ConflictError, match="servicePorts"):
        await theirs.apply(RoleBasedGroup, "a", roles({"name": "one", "servicePorts": ports}))


@case
async def test_what_the_schema_leaves_open_is_owned_field_by_field_and_list_by_list(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.apply(RoleInstanceSet, "a", instance_set("a"))
    more = {"spec": {"roleInstanceTemplate": {"readyPolicy": "None"}}}
    joined = await theirs.apply(RoleInstanceSet, "a", more)
    template = joined["spec"]["roleInstanceTemplate"]
    assert template["readyPolicy"] == "None"
    assert template["components"] == instance_set("a")["spec"]["roleInstanceTemplate"]["components"]
    with pytest.raises(ConflictError, match=r"spec\.roleInstanceTemplate\.components"):
        await theirs.apply(RoleInstanceSet, "a", {"spec": {"roleInstanceTemplate": {"components": []}}})


@case
async def test_an_atomic_map_is_replaced_as_a_whole(api: Api) -> None:
    await api.apply(RoleInstanceSet, "a", instance_set("a", spec={"selector": {"matchLabels": {"x": "1", "y": "2"}}}))
    change = instance_set("a", spec={"selector": {"matchLabels": {"y": "3"}}})
    changed = await api.apply(RoleInstanceSet, "a", change)
    assert changed["spec"]["selector"] == {"matchLabels": {"y": "3"}}
    with pytest.raises(ConflictError, match=r"\.spec\.selector$|\.spec\.selector "):
        await api.manager("them").apply(RoleInstanceSet, "a", {"spec": {"selector": {"matchLabels": {"z": "1"}}}})


@case
async def test_defaults_are_nobodys(api: Api) -> None:
    made = await api.manager("us").apply(RoleBasedGroup, "a", roles({"name": "one"}))
    assert fields(made, "us") == {"f:spec": {"f:roles": {'k:{"name":"one"}': {".": {}, "f:name": {}}}}}
    assert made["spec"]["roles"][0]["replicas"] == 1
    changed = await api.manager("them").apply(RoleBasedGroup, "a", roles({"name": "one", "replicas": 3}))
    assert changed["spec"]["roles"][0]["replicas"] == 3


@case
async def test_ports_of_a_service_are_joined_by_port_and_protocol(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    head = {"clusterIP": "None", "selector": {"a": "b"}}
    await ours.apply(Service, "a", service("a", {**head, "ports": [{"name": "x", "port": 80, "protocol": "TCP"}]}))
    more = {"spec": {"ports": [{"name": "y", "port": 81, "protocol": "TCP"}]}}
    both = await theirs.apply(Service, "a", more)
    assert [item["port"] for item in both["spec"]["ports"]] == [80, 81]
    left = await ours.apply(Service, "a", {"spec": head})
    assert [item["port"] for item in left["spec"]["ports"]] == [81]


@case
async def test_the_selector_of_a_service_is_replaced_as_a_whole(api: Api) -> None:
    head = {"clusterIP": "None"}
    await api.apply(Service, "a", service("a", {**head, "selector": {"x": "1", "y": "2"}}))
    changed = await api.apply(Service, "a", service("a", {**head, "selector": {"y": "2"}}))
    assert changed["spec"]["selector"] == {"y": "2"}


@case
async def test_containers_of_a_pod_are_joined_by_name_and_their_variables_too(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    containers = [{"name": "main", "image": "i:1", "env": [{"name": "A", "value": "1"}]}]
    await ours.apply(Pod, "a", pod("a", {"containers": containers}))
    with pytest.raises(ConflictError, match=r'spec\.containers\[name="main"\]\.image'):
        await theirs.apply(Pod, "a", {"spec": {"containers": [{"name": "main", "image": "i:2"}]}})
    taken = await theirs.apply(Pod, "a", {"spec": {"containers": [{"name": "main", "image": "i:2"}]}}, force=True)
    assert taken["spec"]["containers"][0]["image"] == "i:2"
    assert taken["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]


@case
async def test_owners_are_joined_by_uid_and_finalizers_are_a_set(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    reference = {"apiVersion": "example.com/v1", "kind": "Unknown", "name": "n", "uid": "one"}  # of no known kind
    mine = {"ownerReferences": [reference], "finalizers": ["example.com/a", "example.com/b"]}
    await ours.apply(ConfigMap, "a", {"metadata": metadata("a", **mine)})
    other = {"ownerReferences": [{**reference, "uid": "two"}], "finalizers": ["example.com/b", "example.com/c"]}
    both = await theirs.apply(ConfigMap, "a", {"metadata": metadata("a", **other)})
    assert [item["uid"] for item in both["metadata"]["ownerReferences"]] == ["one", "two"]
    assert both["metadata"]["finalizers"] == ["example.com/a", "example.com/b", "example.com/c"]
    left = await ours.apply(ConfigMap, "a", {"metadata": metadata("a")})
    assert [item["uid"] for item in left["metadata"]["ownerReferences"]] == ["two"]
    assert left["metadata"]["finalizers"] == ["example.com/b", "example.com/c"]
    await theirs.apply(ConfigMap, "a", {})


@case
async def test_keys_of_a_config_map_are_owned_one_by_one(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.apply(ConfigMap, "a", config_map("a", {"x": "1", "y": "1"}))
    await theirs.apply(ConfigMap, "a", config_map("a", {"z": "1"}))
    left = await ours.apply(ConfigMap, "a", config_map("a", {"x": "2"}))
    assert left["data"] == {"x": "2", "z": "1"}


@case
async def test_applying_an_instance_again_leaves_what_others_set(api: Api) -> None:
    body = instance("a", labels={"revision": "1"})
    await api.apply(RoleInstance, "a", body, force=True)
    await api.manager("them").patch(
        RoleInstance, "a", {"spec": {"readyPolicy": "None"}, "metadata": {"labels": {"x": "y"}}}
    )
    again = await api.apply(RoleInstance, "a", instance("a", labels={"revision": "2"}), force=True)
    assert again["spec"]["readyPolicy"] == "None"
    assert again["metadata"]["labels"] == {"revision": "2", "x": "y"}
    assert again["metadata"]["generation"] == 2
