"""What the garbage collector does to dependents, and what a deleted namespace takes with it.

Others do the work, after a while; so all these cases run at the same time on one server.
"""

from __future__ import annotations

from typing import Any

import pytest

from contract.support import Api, Obj, config_map, group, instance, instance_set, metadata, owner, pod, together
from rbgctrl.api.core import ConfigMap, Namespace, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.client import ForbiddenError, NotFoundError

HELD = ["example.com/x"]


def owned(name: str, *owners: Obj, **more: Any) -> Obj:
    return config_map(name, ownerReferences=list(owners), **more)


async def free(api: Api, *names: str) -> None:
    for name in names:
        await api.patch(ConfigMap, name, {"metadata": {"finalizers": None}})


async def control(api: Api) -> None:
    """Returns when the collector has surely looked at everything written before."""
    await api.create(ConfigMap, owned("control", {**owner(await api.create(ConfigMap, config_map("witness")))}))
    await api.delete(ConfigMap, "witness")
    await api.gone(ConfigMap, "control")


@together
async def test_dependents_go_with_their_owner(api: Api) -> None:
    made = await api.create(ConfigMap, config_map("owner"))
    for name in ("a", "b"):
        await api.create(ConfigMap, owned(name, owner(made, controller=name == "a")))
    await api.delete(ConfigMap, "owner")
    await api.gone(ConfigMap, "a")
    await api.gone(ConfigMap, "b")


@together
async def test_a_whole_group_goes_with_its_head(api: Api) -> None:
    top = await api.create(RoleBasedGroup, group("g"))
    middle = await api.create(RoleInstanceSet, instance_set("s", ownerReferences=[owner(top, controller=True)]))
    low = await api.create(RoleInstance, instance("i", ownerReferences=[owner(middle, controller=True)]))
    await api.create(Pod, pod("p", ownerReferences=[owner(low, controller=True)]))
    await api.delete(RoleBasedGroup, "g", uid=top["metadata"]["uid"])
    assert await api.find(RoleBasedGroup, "g") is None
    await api.gone(RoleInstanceSet, "s")
    await api.gone(RoleInstance, "i")
    await api.gone(Pod, "p")


@together
async def test_an_owner_that_never_was_takes_its_dependent_along(api: Api) -> None:
    made = await api.create(ConfigMap, config_map("owner"))
    absent = {**owner(made), "name": "other"}
    stranger = {**owner(made), "uid": "00000000-0000-0000-0000-000000000000"}
    await api.create(ConfigMap, owned("absent", absent))
    await api.create(ConfigMap, owned("stranger", stranger))
    await api.gone(ConfigMap, "absent")
    await api.gone(ConfigMap, "stranger")
    assert await api.get(ConfigMap, "owner") == made


@together
async def test_a_namesake_of_the_owner_does_not_adopt(api: Api) -> None:
    first = await api.create(ConfigMap, config_map("owner"))
    await api.create(ConfigMap, owned("a", owner(first)))
    await api.delete(ConfigMap, "owner")
    second = await api.create(ConfigMap, config_map("owner"))
    await api.gone(ConfigMap, "a")
    assert await api.get(ConfigMap, "owner") == second


@together
async def test_an_owner_in_another_namespace_counts_as_absent(api: Api) -> None:
    name = f"{api.namespace}-owner"
    made = await api.within("default").create(ConfigMap, config_map(name))
    await api.create(ConfigMap, owned("a", owner(made)))
    await api.gone(ConfigMap, "a")
    await api.within("default").delete(ConfigMap, name)


@together
async def test_a_dependent_lives_while_one_owner_does(api: Api) -> None:
    first = await api.create(ConfigMap, config_map("first"))
    second = await api.create(ConfigMap, config_map("second"))
    await api.create(ConfigMap, owned("a", owner(first), owner(second)))
    await api.delete(ConfigMap, "first")
    left = await api.becomes(ConfigMap, "a", lambda obj: len(obj["metadata"]["ownerReferences"]) == 1)
    assert left["metadata"]["ownerReferences"] == [owner(second)]
    await api.delete(ConfigMap, "second")
    await api.gone(ConfigMap, "a")


@together
async def test_a_dependent_lives_while_its_owner_is_held(api: Api) -> None:
    made = await api.create(ConfigMap, config_map("owner", finalizers=HELD))
    dependent = await api.create(ConfigMap, owned("a", owner(made)))
    await api.delete(ConfigMap, "owner")
    await control(api)
    assert await api.get(ConfigMap, "a") == dependent
    await free(api, "owner")
    await api.gone(ConfigMap, "a")


@together
async def test_a_dependent_of_a_kind_nobody_knows_is_left_alone(api: Api) -> None:
    unknown = {"apiVersion": "example.com/v1", "kind": "Unknown", "name": "n", "uid": "u"}
    made = await api.create(ConfigMap, owned("a", unknown))
    await control(api)
    assert await api.get(ConfigMap, "a") == made


@together
async def test_a_collected_dependent_is_held_by_its_finalizer(api: Api) -> None:
    made = await api.create(ConfigMap, config_map("owner"))
    await api.create(ConfigMap, owned("a", owner(made), finalizers=HELD))
    await api.delete(ConfigMap, "owner")
    await api.becomes(ConfigMap, "a", lambda obj: "deletionTimestamp" in obj["metadata"])
    await free(api, "a")
    await api.gone(ConfigMap, "a")


@together
async def test_a_collected_pod_on_a_node_is_given_its_grace_period(api: Api) -> None:
    made = await api.create(RoleInstance, instance("i"))
    bound = {"nodeName": "nowhere", "terminationGracePeriodSeconds": 500}
    await api.create(Pod, pod("p", bound, ownerReferences=[owner(made, controller=True)]))
    await api.delete(RoleInstance, "i")
    going = await api.becomes(Pod, "p", lambda obj: "deletionTimestamp" in obj["metadata"])
    assert going["metadata"]["deletionGracePeriodSeconds"] == 500


# -- foreground --------------------------------------------------------------------------------------------------------


@together
async def test_in_the_foreground_an_owner_waits_for_the_dependents_that_block_it(api: Api) -> None:
    made = await api.create(ConfigMap, config_map("owner"))
    await api.create(ConfigMap, owned("a", owner(made), finalizers=HELD))
    going = await api.delete(ConfigMap, "owner", propagation="Foreground")
    assert going["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert going["metadata"]["deletionTimestamp"]
    assert going["metadata"]["deletionGracePeriodSeconds"] == 0
    await api.becomes(ConfigMap, "a", lambda obj: "deletionTimestamp" in obj["metadata"])
    await control(api)
    assert (await api.get(ConfigMap, "owner"))["metadata"]["finalizers"] == ["foregroundDeletion"]
    await free(api, "a")
    await api.gone(ConfigMap, "owner")
    assert await api.find(ConfigMap, "a") is None


@together
async def test_in_the_foreground_dependents_that_do_not_block_go_later(api: Api) -> None:
    made = await api.create(ConfigMap, config_map("owner"))
    await api.create(ConfigMap, owned("a", owner(made, block=False), finalizers=HELD))
    await api.delete(ConfigMap, "owner", propagation="Foreground")
    await api.gone(ConfigMap, "owner")
    await api.becomes(ConfigMap, "a", lambda obj: "deletionTimestamp" in obj["metadata"])
    await free(api, "a")
    await api.gone(ConfigMap, "a")


@together
async def test_in_the_foreground_a_group_goes_from_the_leaves_up(api: Api) -> None:
    top = await api.create(RoleBasedGroup, group("g"))
    middle = await api.create(RoleInstanceSet, instance_set("s", ownerReferences=[owner(top, controller=True)]))
    low = owner(middle, controller=True)
    await api.create(RoleInstance, instance("i", ownerReferences=[low], finalizers=HELD))
    await api.delete(RoleBasedGroup, "g", propagation="Foreground")
    await api.becomes(RoleInstance, "i", lambda obj: "deletionTimestamp" in obj["metadata"])
    for kind, name in ((RoleBasedGroup, "g"), (RoleInstanceSet, "s")):
        assert (await api.get(kind, name))["metadata"]["finalizers"] == ["foregroundDeletion"]
    await api.patch(RoleInstance, "i", {"metadata": {"finalizers": None}})
    await api.gone(RoleBasedGroup, "g")
    assert await api.find(RoleInstanceSet, "s") is None


@together
async def test_in_the_foreground_an_owner_alone_goes_soon(api: Api) -> None:
    await api.create(RoleBasedGroup, group("g"))
    await api.delete(RoleBasedGroup, "g", propagation="Foreground")
    await api.gone(RoleBasedGroup, "g")


# -- orphans -----------------------------------------------------------------------------------------------------------


@together
async def test_orphans_lose_the_reference_and_stay(api: Api) -> None:
    made = await api.create(ConfigMap, config_map("owner"))
    other = await api.create(ConfigMap, config_map("other"))
    await api.create(ConfigMap, owned("a", owner(made, controller=True)))
    await api.create(ConfigMap, owned("b", owner(other), owner(made)))
    going = await api.delete(ConfigMap, "owner", propagation="Orphan")
    assert going["metadata"]["finalizers"] == ["orphan"]
    await api.gone(ConfigMap, "owner")
    await control(api)
    assert "ownerReferences" not in (await api.get(ConfigMap, "a"))["metadata"]
    assert (await api.get(ConfigMap, "b"))["metadata"]["ownerReferences"] == [owner(other)]


@together
async def test_the_finalizer_of_an_owner_chooses_when_the_delete_does_not(api: Api) -> None:
    made = await api.create(ConfigMap, config_map("owner", finalizers=["orphan"]))
    await api.create(ConfigMap, owned("a", owner(made)))
    await api.delete(ConfigMap, "owner")
    await api.gone(ConfigMap, "owner")
    assert "ownerReferences" not in (await api.get(ConfigMap, "a"))["metadata"]


@together
async def test_a_delete_that_chooses_wins_over_the_finalizer(api: Api) -> None:
    made = await api.create(ConfigMap, config_map("owner", finalizers=["orphan"]))
    await api.create(ConfigMap, owned("a", owner(made)))
    await api.delete(ConfigMap, "owner", propagation="Background")
    await api.gone(ConfigMap, "owner")
    await api.gone(ConfigMap, "a")


# -- namespaces --------------------------------------------------------------------------------------------------------


@together
async def test_a_namespace_takes_everything_in_it_along(api: Api) -> None:
    name = f"{api.namespace}-inner"
    inner = api.within(name)
    made = await api.create(Namespace, {"metadata": metadata(name)})
    assert made["status"]["phase"] == "Active"
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": name}
    await inner.create(ConfigMap, config_map("a"))
    await inner.create(RoleBasedGroup, group("g"))
    await inner.create(Pod, pod("p"))
    going = await api.delete(Namespace, name)
    assert going["status"]["phase"] == "Terminating"
    assert going["metadata"]["deletionTimestamp"]
    await api.gone(Namespace, name)
    for kind, inside in ((ConfigMap, "a"), (RoleBasedGroup, "g"), (Pod, "p")):
        with pytest.raises(NotFoundError):
            await inner.get(kind, inside)


@together
async def test_a_namespace_that_is_going_takes_nothing_new_and_waits_for_what_is_held(api: Api) -> None:
    name = f"{api.namespace}-inner"
    inner = api.within(name)
    await api.create(Namespace, {"metadata": metadata(name)})
    await inner.create(ConfigMap, config_map("a", finalizers=HELD))
    await api.delete(Namespace, name)
    with pytest.raises(ForbiddenError) as raised:
        await inner.create(ConfigMap, config_map("b"))
    assert raised.value.causes == ("NamespaceTerminating",)
    assert raised.value.message == (
        f'configmaps "b" is forbidden: unable to create new content in namespace {name} because it is being terminated'
    )
    with pytest.raises(ForbiddenError):
        await inner.client.apply(RoleBasedGroup, Key(name, "g"), group("g"))
    await inner.becomes(ConfigMap, "a", lambda obj: "deletionTimestamp" in obj["metadata"])
    assert await api.find(Namespace, name) is not None
    await free(inner, "a")
    await api.gone(Namespace, name)
