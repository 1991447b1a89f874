"""The pod of a warmup: what several actions come to, and how it gets to its node."""

from __future__ import annotations

from typing import Any

from rbgctrl.api import labels, names
from rbgctrl.api.core import Node
from rbgctrl.api.meta import ObjectMeta
from rbgctrl.api.warmups import RoleBasedGroupWarmup, RoleBasedGroupWarmupSpec, WarmupActions
from rbgctrl.plan.warmuppods import create_pod, work

LONG = "ip-10-0-0-1." + "a-rather-long-domain." * 4 + "internal"


def actions(**fields: Any) -> WarmupActions:
    return WarmupActions.model_validate(fields)


def custom(*containers: dict[str, Any], volumes: tuple[dict[str, Any], ...] = ()) -> WarmupActions:
    return actions(customizedAction={"containers": list(containers), "volumes": list(volumes)})


def found(**spec: Any) -> RoleBasedGroupWarmup:
    target = {"nodeNames": ["n1"], "imagePreload": {"images": ["a:1"]}}
    return RoleBasedGroupWarmup(
        metadata=ObjectMeta(name="w", namespace="ml", uid="u"),
        spec=RoleBasedGroupWarmupSpec.model_validate({"targetNodes": target, **spec}),
    )


def node(name: str, hostname: str | None) -> Node:
    return Node(metadata=ObjectMeta(name=name, labels={"kubernetes.io/hostname": hostname} if hostname else {}))


def pod(name: str, known: Node | None) -> Any:
    return create_pod(found(), name, known, 0, work([actions(imagePreload={"images": ["a:1"]})])).body


def test_each_distinct_image_is_pulled_once() -> None:
    made = work([actions(imagePreload={"images": ["a:1", "b:1", "a:1"]}), actions(imagePreload={"images": ["b:1"]})])
    assert [(container["name"], container["image"]) for container in made.containers] == [
        ("image-preload-0", "a:1"),
        ("image-preload-1", "b:1"),
    ]


def test_custom_containers_get_new_names_and_those_of_equal_content_run_once() -> None:
    one = {"name": "a", "image": "tool:1", "args": ["x"]}
    made = work([custom(one, {"name": "b", "image": "tool:2"}), custom({**one, "name": "c"}, {**one, "args": ["y"]})])
    assert made.containers == (
        {"name": "custom-0", "image": "tool:1", "args": ["x"]},
        {"name": "custom-1", "image": "tool:2"},
        {"name": "custom-2", "image": "tool:1", "args": ["y"]},
    )


def test_of_two_volumes_of_one_name_the_first_counts_and_a_difference_is_a_conflict() -> None:
    tool = {"name": "a", "image": "tool:1"}
    first = {"name": "cache", "hostPath": {"path": "/cache"}}
    same, other = dict(first), {"name": "cache", "emptyDir": {}}
    assert work([custom(tool, volumes=(first,)), custom(tool, volumes=(same,))]).conflicts == ()
    made = work([custom(tool, volumes=(first,)), custom(tool, volumes=(other, {"name": "tmp", "emptyDir": {}}))])
    assert made.volumes == (first, {"name": "tmp", "emptyDir": {}})
    assert made.conflicts == ("cache",)


def test_pull_secrets_and_tolerations_reach_the_pod() -> None:
    secrets = [{"name": "one"}, {"name": "two"}, {"name": "one"}]
    todo = work([actions(imagePreload={"images": ["a:1"], "pullSecrets": secrets})])
    body = create_pod(found(tolerations=[{"operator": "Exists"}]), "n1", None, 0, todo).body
    assert body["spec"]["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert body["spec"]["tolerations"] == [{"operator": "Exists"}]
    assert body["spec"]["restartPolicy"] == "Never"


def test_a_node_is_chosen_by_its_host_name_where_that_is_its_name() -> None:
    for known in (node("n1", "n1"), None):
        spec = pod("n1", known)["spec"]
        assert spec["nodeSelector"] == {"kubernetes.io/hostname": "n1"}
        assert "affinity" not in spec


def test_a_node_whose_host_name_differs_or_cannot_be_a_label_is_chosen_by_its_own_name() -> None:
    for name, known in (("n1", node("n1", "other")), ("n1", node("n1", None)), (LONG, node(LONG, None)), (LONG, None)):
        spec = pod(name, known)["spec"]
        assert "nodeSelector" not in spec
        required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert required == {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]
        }


def test_whatever_the_names_those_of_pods_and_labels_are_valid_and_differ() -> None:
    warmups, nodes = ("w", "a.b", "a" * 253), ("n1", LONG, LONG + "x", "a.b", "a-b")
    made = {(w, n, k): names.warmup_pod(w, n, k) for w in warmups for n in nodes for k in (0, 1, 12)}
    assert len(set(made.values())) == len(made)
    for (_, _, attempt), name in made.items():
        assert names.is_dns_label(name)
        assert names.warmup_attempt(name) == attempt
    carried = [pod(name, None)["metadata"]["labels"][labels.WARMUP_NODE] for name in nodes]
    assert all(names.is_label_value(value) for value in carried)
    assert len(set(carried)) == len(nodes)


def test_names_of_different_warmups_and_nodes_never_meet_although_they_read_alike() -> None:
    assert names.warmup_pod("a", "b-c", 0) != names.warmup_pod("a-b", "c", 0)


def test_a_generated_name_is_no_attempt() -> None:
    assert names.warmup_attempt("preload-8tnlz") is None
