"""In-place scheduling: pods that are made anew go back to where they were."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.bindings import Binding, binding_key, bindings
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.plan.model import Create, Delete, Patch
from rbgctrl.plan.samenode import Return, with_affinity

from .instances import NAME, add_node, component, decide, instance, of, owned, settle
from .world import World

HOSTNAME = labels.NODE_HOSTNAME
POD = f"{NAME}-main-0"
RECORD = f"node.rbgctrl.io/{POD}"


@pytest.fixture
def world() -> World:
    made = World()
    for number in (1, 2, 3):
        add_node(made, f"node-{number}", hostname=f"host-{number}")
    return made


def _asking(mode: str = "Preferred", *, granularity: str = "", avoid: str = "") -> dict[str, str]:
    return {
        labels.INPLACE_SCHEDULING: mode,
        labels.INPLACE_SCHEDULING_GRANULARITY: granularity,
        labels.INPLACE_SCHEDULING_AVOID: avoid,
    }


def _put(world: World, name: str = NAME, *components: dict[str, Any], replicas: int = 2, **asked: Any) -> None:
    body = instance(*components, name=name, annotations=_asking(**asked))
    world.put(RoleInstance, owned(world, body, replicas=replicas))


def _stateless(world: World, slot: str, **asked: Any) -> None:
    body = instance(name=f"llm-engine-{slot}", annotations=_asking(**asked))
    own = body["metadata"]["labels"]
    del own[labels.ROLE_INSTANCE_INDEX]
    own[labels.ROLE_INSTANCE_ID] = slot
    world.put(RoleInstance, owned(world, body))


def _records(world: World) -> dict[str, str]:
    found = world.body(RoleInstanceSet, "llm-engine")["metadata"].get("annotations", {})
    return {key.removeprefix("node.rbgctrl.io/"): value for key, value in found.items()}


def _affinity(world: World, pod: str = POD) -> dict[str, Any]:
    found: dict[str, Any] = world.body(Pod, pod)["spec"].get("affinity", {}).get("nodeAffinity", {})
    return found


def _home(*hosts: str) -> dict[str, Any]:
    return {"key": HOSTNAME, "operator": "In", "values": list(hosts)}


def _required(*expressions: dict[str, Any]) -> dict[str, Any]:
    terms = [{"matchExpressions": list(expressions)}]
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}


def _remake(world: World, name: str = NAME, **asked: Any) -> None:
    """The instance is replaced, as in a rollout."""
    world.remove(RoleInstance, name)
    _put(world, name, **asked)
    settle(world, kubelet=False)


def test_where_a_ready_pod_runs_is_written_on_the_set_under_a_key_of_its_own(world: World) -> None:
    _put(world)
    settle(world, kubelet=False)
    assert _records(world) == {}
    world.run_pods()
    settle(world)
    assert _records(world) == {POD: "0/main/node-1"}
    assert decide(world).empty, "it is written once"


def test_an_instance_that_does_not_ask_records_nothing(world: World) -> None:
    world.put(RoleInstance, owned(world, instance(annotations=_asking("Sometimes"))))
    settle(world)
    assert _records(world) == {}
    assert _affinity(world) == {}


def test_a_pod_of_a_replaced_instance_prefers_the_host_of_its_node(world: World) -> None:
    _put(world)
    settle(world)
    _remake(world)
    preferred = {"weight": 100, "preference": {"matchExpressions": [_home("host-1")]}}
    assert _affinity(world) == {"preferredDuringSchedulingIgnoredDuringExecution": [preferred]}
    assert labels.PINNED_NODES not in world.body(Pod, POD)["metadata"]["annotations"]


def test_required_is_a_must(world: World) -> None:
    _put(world, mode="Required")
    settle(world)
    _remake(world, mode="Required")
    assert _affinity(world) == _required(_home("host-1"))


@pytest.mark.parametrize("fate", ["deleted", "out of service"])
def test_nobody_is_sent_to_a_node_that_is_gone(world: World, fate: str) -> None:
    _put(world, mode="Required")
    settle(world)
    if fate == "deleted":
        world.remove(Node, "node-1", namespace="")
    else:
        add_node(world, "node-1", taint="node.kubernetes.io/out-of-service")
    _remake(world, mode="Required")
    assert _affinity(world) == {}


def test_a_pod_that_waits_for_a_node_that_is_gone_is_made_anew_without_it(world: World) -> None:
    _put(world, mode="Required")
    settle(world)
    _remake(world, mode="Required")
    assert of(decide(world), Delete) == []
    world.remove(Node, "node-1", namespace="")
    assert of(decide(world), Delete) == [POD]
    settle(world)
    assert _affinity(world) == {}
    assert decide(world).empty


def test_a_pod_that_runs_is_left_alone_when_its_node_is_gone(world: World) -> None:
    _put(world, mode="Required")
    settle(world)
    _remake(world, mode="Required")
    settle(world)
    world.remove(Node, "node-1", namespace="")
    assert of(decide(world), Delete) == []


def test_a_pod_that_moved_is_remembered_where_it_is_now_only(world: World) -> None:
    _put(world)
    settle(world)
    world.body(Pod, POD)["spec"]["nodeName"] = "node-2"
    settle(world)
    assert _records(world) == {POD: "0/main/node-2"}


def test_by_pod_each_returns_to_its_own_node_and_by_component_to_any_of_them(world: World) -> None:
    for granularity, hosts in (("Pod", ["host-1"]), ("Component", ["host-1", "host-2"])):
        world = World()
        for number in (1, 2):
            add_node(world, f"node-{number}", hostname=f"host-{number}")
        _put(world, NAME, component(size=2), granularity=granularity)
        settle(world)
        world.body(Pod, f"{NAME}-main-1")["spec"]["nodeName"] = "node-2"
        settle(world)
        world.remove(Pod, POD)
        settle(world)
        (term,) = _affinity(world)["preferredDuringSchedulingIgnoredDuringExecution"]
        assert term["preference"]["matchExpressions"] == [_home(*hosts)]


def test_instances_with_an_id_return_by_component_to_what_their_predecessors_left(world: World) -> None:
    _stateless(world, "abcde")
    settle(world)
    world.remove(RoleInstance, "llm-engine-abcde")
    _stateless(world, "fghij")
    settle(world, kubelet=False)
    (term,) = _affinity(world, "llm-engine-fghij-main-0")["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["preference"]["matchExpressions"] == [_home("host-1")]
    assert list(_records(world)) == ["llm-engine-abcde-main-0"]
    settle(world)
    assert list(_records(world)) == ["llm-engine-fghij-main-0"], "the predecessor's is dropped with the same patch"


def test_predecessors_leave_one_record_for_each_node_that_is_left(world: World) -> None:
    _stateless(world, "fghij")
    world.body(RoleInstanceSet, "llm-engine")["metadata"]["annotations"] = {
        "node.rbgctrl.io/llm-engine-a-main-0": "a/main/node-2",
        "node.rbgctrl.io/llm-engine-b-main-0": "b/main/node-2",
        "node.rbgctrl.io/llm-engine-c-main-0": "c/main/node-9",
        "node.rbgctrl.io/llm-engine-24567-main-0": "24567/main/node-3",
    }
    settle(world)
    kept = ["llm-engine-24567-main-0", "llm-engine-a-main-0", "llm-engine-fghij-main-0"]
    assert sorted(_records(world)) == kept


def test_records_come_to_rest_when_pods_run_on_nodes_that_nobody_knows(world: World) -> None:
    _put(world, NAME, component(size=2))
    _put(world, "llm-engine-1", component(size=2))
    settle(world)
    for item in world.all(Pod):
        world.body(Pod, item.metadata.name)["spec"]["nodeName"] = "node-9"
    settle(world)
    assert set(_records(world).values()) == {"0/main/node-9", "1/main/node-9"}


def test_labels_to_avoid_are_added_to_every_required_term_in_both_modes() -> None:
    never = {"key": "example.com/bad", "operator": "DoesNotExist"}
    spec = {
        "affinity": {
            "podAffinity": {"kept": True},
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
                        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["x"]}]},
                    ]
                },
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {}}],
            },
        }
    }
    must = with_affinity(spec, Return(required=True, nodes=("n",), hosts=("h",), avoid=("example.com/bad",)))
    terms = must["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms[0]["matchExpressions"] == [{"key": "a", "operator": "Exists"}, _home("h"), never]
    assert terms[1]["matchExpressions"] == [_home("h"), never]
    assert terms[1]["matchFields"][0]["key"] == "metadata.name"
    assert must["affinity"]["podAffinity"] == {"kept": True}
    may = with_affinity(spec, Return(required=False, nodes=("n",), hosts=("h",), avoid=("example.com/bad",)))
    own = may["affinity"]["nodeAffinity"]
    assert [item["weight"] for item in own["preferredDuringSchedulingIgnoredDuringExecution"]] == [1, 100]
    assert own["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"][1]["matchExpressions"] == [never]


def test_labels_to_avoid_count_without_a_node_to_return_to_and_nonsense_is_skipped(world: World) -> None:
    _put(world, avoid="example.com/bad, not a key!,other")
    settle(world, kubelet=False)
    names = ["example.com/bad", "other"]
    assert _affinity(world) == _required(*({"key": name, "operator": "DoesNotExist"} for name in names))


def test_exclusive_topology_decides_alone(world: World) -> None:
    exclusive = component()
    exclusive["template"]["metadata"]["annotations"] = {labels.GROUP_EXCLUSIVE_TOPOLOGY: "zone"}
    _put(world, NAME, exclusive, mode="Required")
    settle(world)
    world.remove(Pod, POD)
    settle(world, kubelet=False)
    assert _affinity(world) == {}


def test_what_is_about_ordinals_and_components_that_are_gone_is_dropped_when_something_is_written(
    world: World,
) -> None:
    _put(world)
    world.body(RoleInstanceSet, "llm-engine")["metadata"]["annotations"] = {
        "node.rbgctrl.io/llm-engine-1-main-0": "1/main/node-2",
        "node.rbgctrl.io/llm-engine-5-main-0": "5/main/node-2",
        "node.rbgctrl.io/llm-engine-1-old-0": "1/old/node-2",
        "node.rbgctrl.io/odd": "what is this",
    }
    settle(world)
    assert _records(world) == {
        POD: "0/main/node-1",
        "llm-engine-1-main-0": "1/main/node-2",
        "odd": "what is this",
    }


def test_nothing_is_recorded_that_would_not_fit(world: World) -> None:
    _put(world)
    world.body(RoleInstanceSet, "llm-engine")["metadata"]["annotations"] = {"example.com/large": "x" * 200_000}
    settle(world)
    assert RECORD not in world.body(RoleInstanceSet, "llm-engine")["metadata"]["annotations"]


def test_an_instance_of_no_set_remembers_by_itself(world: World) -> None:
    world.put(RoleInstance, instance(bare=True, annotations=_asking("Required", granularity="Pod")))
    settle(world)
    assert world.body(RoleInstance, NAME)["metadata"]["annotations"][RECORD] == f"{NAME}/main/node-1"
    world.remove(Pod, POD)
    settle(world, kubelet=False)
    assert _affinity(world) == _required(_home("host-1"))


def test_without_knowledge_of_nodes_the_name_stands_for_the_host(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = World()
    sources = plain.sources
    monkeypatch.setattr(World, "sources", property(lambda _: sources.__class__(**_without_nodes(sources))))
    _put(plain, mode="Required")
    settle(plain)
    plain.remove(Pod, POD)
    settle(plain, kubelet=False)
    assert _affinity(plain) == _required(_home("node-1"))


def _without_nodes(sources: Any) -> dict[str, Any]:
    return {name: getattr(sources, name) for name in sources.__slots__ if name != "nodes"}


def test_records_change_neither_revisions_nor_pods(world: World) -> None:
    _put(world)
    settle(world)
    world.body(RoleInstanceSet, "llm-engine")["metadata"]["annotations"][RECORD] = "0/main/node-3"
    found = decide(world)
    assert of(found, Create) == of(found, Delete) == []
    assert of(found, Patch, RoleInstanceSet) == ["llm-engine"], "only the record is put right"


def test_the_key_of_a_long_name_is_valid_and_its_own() -> None:
    first, second = binding_key("x" * 200 + "-0"), binding_key("x" * 200 + "-1")
    assert first != second
    assert len(first.partition("/")[2]) == 63
    found = Binding(key="node.rbgctrl.io/a", slot="0", component="main", node="n")
    assert bindings({found.key: found.value, "other/b": "1/2/3"}) == (found,)


def test_the_node_store_is_only_asked_for_nodes_that_matter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(RoleInstance, instance())
    settle(world)
    asked: list[Key] = []
    monkeypatch.setattr(world.shelves[Node], "get", asked.append)
    decide(world)
    assert asked == []
