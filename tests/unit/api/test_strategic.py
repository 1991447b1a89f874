"""Strategic merge: cases recorded from ``kubectl patch --local``, and that nothing shared is touched."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rbgctrl.api.strategic import StrategicError, strategic_merge

Obj = dict[str, Any]


def template(*containers: Obj, **spec: Any) -> Obj:
    return {"spec": {"containers": list(containers), **spec}}


A: Obj = {"name": "a", "image": "i:1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}
B: Obj = {"name": "b", "image": "i:1", "args": ["p", "q"]}

CASES: dict[str, tuple[Obj, Obj, Obj]] = {
    "containers are merged by name": (
        template(A, B),
        template({"name": "b", "image": "i:2"}),
        template(A, {**B, "image": "i:2"}),
    ),
    "a new container comes before those the patch does not mention": (
        template(A, B),
        template({"name": "c", "image": "i"}),
        template({"name": "c", "image": "i"}, A, B),
    ),
    "a lasting one keeps its place before a changed one": (
        template(A, B),
        template({"name": "b", "image": "i:2"}, {"name": "c", "image": "i"}),
        template(A, {**B, "image": "i:2"}, {"name": "c", "image": "i"}),
    ),
    "variables are merged by name inside": (
        template(A),
        template({"name": "a", "env": [{"name": "Y", "value": "3"}, {"name": "Z", "value": "4"}]}),
        template(
            {
                **A,
                "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "3"}, {"name": "Z", "value": "4"}],
            }
        ),
    ),
    "lists without a merge key are replaced": (
        template(B),
        template({"name": "b", "args": ["r"]}),
        template({**B, "args": ["r"]}),
    ),
    "null removes": (template(A), template({"name": "a", "env": None}), template({"name": "a", "image": "i:1"})),
    "an item is deleted by its key": (template(A, B), template({"name": "a", "$patch": "delete"}), template(B)),
    "a list is replaced on request": (
        template(A, B),
        template({"$patch": "replace"}, {"name": "c", "image": "i"}),
        template({"name": "c", "image": "i"}),
    ),
    "an object is replaced on request": (
        template(nodeSelector={"a": "1", "b": "2"}),
        {"spec": {"nodeSelector": {"$patch": "replace", "c": "3"}}},
        template(nodeSelector={"c": "3"}),
    ),
    "an order can be asked for": (
        template(A, B),
        {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
        template(B, A),
    ),
    "only named fields are kept on request": (
        template(volumes=[{"name": "v", "emptyDir": {}}]),
        {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/x"}, "$retainKeys": ["name", "hostPath"]}]}},
        template(volumes=[{"name": "v", "hostPath": {"path": "/x"}}]),
    ),
    "scalars of a set are joined": (
        {"metadata": {"finalizers": ["a/a", "b/b"]}},
        {"metadata": {"finalizers": ["c/c", "b/b"]}},
        {"metadata": {"finalizers": ["c/c", "a/a", "b/b"]}},
    ),
    "scalars of a set are deleted by value": (
        {"metadata": {"finalizers": ["a/a", "b/b"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/a"]}},
        {"metadata": {"finalizers": ["b/b"]}},
    ),
    "what was not there is taken without nulls and without what carries a directive": (
        {},
        template({"name": "a", "image": None}, {"name": "b", "$patch": "delete"}, {"name": "c", "$patch": "merge"}),
        template({"name": "a"}),
    ),
    # From here on: found by the drawn patches of tests/e2e/test_strategic.py.
    "an object with a directive is nothing where there was none": (
        template(A),
        {"metadata": {"labels": {"a": "1", "$patch": "replace"}}, "spec": {"nodeSelector": {"$patch": "delete"}}},
        {"metadata": {}, **template(A)},
    ),
    "a list that is replaced keeps items with a directive, without it": (
        template(A, tolerations=[{"key": "a"}]),
        {"spec": {"tolerations": [{"key": "b", "operator": None, "$patch": "delete"}]}},
        template(A, tolerations=[{"key": "b"}]),
    ),
    "an object that is replaced keeps objects with a directive, without it": (
        template(A, securityContext={"runAsUser": 1}),
        {"spec": {"$patch": "replace", "securityContext": {"fsGroup": 1, "$patch": "delete"}}},
        {"spec": {"securityContext": {"fsGroup": 1}}},
    ),
    "a null need not be among the keys to retain": (
        template(A, hostname="h"),
        {"spec": {"$retainKeys": ["containers"], "hostname": None}},
        template(A),
    ),
}


@pytest.mark.parametrize(("target", "patch", "wanted"), CASES.values(), ids=CASES)
def test_a_template_is_merged_as_kubernetes_merges_it(target: Obj, patch: Obj, wanted: Obj) -> None:
    before = orjson.dumps([target, patch])
    assert strategic_merge(target, patch) == wanted
    assert orjson.dumps([target, patch]) == before


WRONG: dict[str, Obj] = {
    "an item without its key": template({"image": "i"}),
    "an unknown directive": template({"name": "a", "$patch": "explode"}),
    "an unknown directive of an object": {"spec": {"$patch": "explode"}},
    "keys to retain that leave out the change": {"spec": {"$retainKeys": ["volumes"], "hostname": "h"}},
    "keys to retain that are no list": {"spec": {"$retainKeys": "volumes"}},
    "an order that is no list": {"spec": {"$setElementOrder/containers": "a"}},
    "an order of no elements": {"spec": {"$setElementOrder/volumes": [{"name": "v"}], "volumes": []}},
    "an order of what is removed": {"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": None}},
    "an order that contradicts the list": {
        "spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
            "containers": [{"name": "a"}, {"name": "b"}],
        }
    },
}


@pytest.mark.parametrize("patch", WRONG.values(), ids=WRONG)
def test_a_patch_that_does_not_fit_is_refused(patch: Obj) -> None:
    with pytest.raises(StrategicError):
        strategic_merge(template(A, B), patch)


def test_ports_of_a_service_are_merged_by_their_number() -> None:
    service = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}}
    patch = {"spec": {"ports": [{"port": 81, "targetPort": 8081}]}}
    merged = strategic_merge(service, patch, "Service")
    assert merged["spec"]["ports"] == [{"port": 80, "name": "a"}, {"port": 81, "name": "b", "targetPort": 8081}]


def test_conditions_of_a_pod_are_merged_by_their_type() -> None:
    pod = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    patch = {"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "True"}]}}
    merged = strategic_merge(pod, patch, "Pod")
    assert merged["status"]["conditions"] == patch["status"]["conditions"]


def test_of_a_kind_without_merge_keys_only_metadata_is_merged_by_key() -> None:
    thing = {"metadata": {"finalizers": ["a/a"]}, "containers": [{"name": "a"}]}
    patch = {"metadata": {"finalizers": ["b/b"]}, "containers": [{"name": "b"}]}
    merged = strategic_merge(thing, patch, "Thing")
    assert sorted(merged["metadata"]["finalizers"]) == ["a/a", "b/b"]
    assert merged["containers"] == [{"name": "b"}]
