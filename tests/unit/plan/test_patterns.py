"""What each pattern becomes: components, templates of other workloads, the Service, the metadata."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import Service
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.podgroups import GangScheduler
from rbgctrl.api.templates import TemplateError
from rbgctrl.plan.model import Apply
from rbgctrl.plan.ports import PortRange
from rbgctrl.plan.workloads import (
    WorkloadRequest,
    apply_service,
    apply_set,
    components,
    fault,
    leader_worker,
    pod_template,
)

from .requests import container_names, decoded, request, template, variables

LWS = {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_LEADER_WORKER_SET}
STATEFUL_SET = {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_STATEFUL_SET}
DEPLOYMENT = {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_DEPLOYMENT}


def _leader_worker(**pattern: Any) -> dict[str, Any]:
    return {"name": "decode", "leaderWorkerPattern": {"size": 3, "template": template(), **pattern}}


def _custom(*declared: dict[str, Any], **role: Any) -> dict[str, Any]:
    return {"name": "serve", "customComponentsPattern": {"components": list(declared)}, **role}


def _labels(component: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = component["template"]["metadata"]["labels"]
    return found


def _created(asked: WorkloadRequest) -> Apply:
    found = apply_set(asked, None)
    assert found is not None
    return found


# Leader and workers ---------------------------------------------------------------------------------------------------


def test_an_instance_of_leader_and_workers_is_told_its_size_place_and_leader() -> None:
    leader, worker = components(request(_leader_worker()))
    assert [(item["name"], item["size"]) for item in (leader, worker)] == [("leader", 1), ("worker", 2)]
    assert [_labels(item)[labels.COMPONENT_SIZE] for item in (leader, worker)] == ["3", "3"]
    assert [_labels(item)[labels.COMPONENT_NAME] for item in (leader, worker)] == ["leader", "worker"]
    for item in (leader, worker):
        told = variables(item["template"])[-3:]
        assert told == ["RBG_LWP_LEADER_ADDRESS", "RBG_LWP_WORKER_INDEX", "RBG_LWP_GROUP_SIZE"]


def test_a_group_of_one_still_has_its_worker_component_with_no_pods() -> None:
    assert [(item["name"], item["size"]) for item in components(request(_leader_worker(size=1)))] == [
        ("leader", 1),
        ("worker", 0),
    ]


@pytest.mark.parametrize(("selection", "worker_service"), [("LeaderOnly", None), (None, None), ("All", "s-llm-decode")])
def test_workers_have_host_names_only_where_the_service_selects_them(
    selection: str | None, worker_service: str | None
) -> None:
    chosen = {"sharedServiceSelection": selection} if selection else {}
    asked = request(_leader_worker(**chosen))
    leader, worker = components(asked)
    assert leader["serviceName"] == "s-llm-decode"
    assert worker.get("serviceName") == worker_service
    owner = decoded(RoleInstanceSet, {"metadata": {"name": "llm-decode", "namespace": "ml", "uid": "uid-set"}})
    service = apply_service(asked, owner, None)
    assert service is not None
    selector = service.body["spec"]["selector"]
    assert selector.get(labels.COMPONENT_NAME) == (None if worker_service else "leader")


def test_a_service_follows_a_changed_selection() -> None:
    owner = decoded(RoleInstanceSet, {"metadata": {"name": "llm-decode", "namespace": "ml", "uid": "uid-set"}})
    made = apply_service(request(_leader_worker()), owner, None)
    assert made is not None
    live = decoded(Service, {**made.body, "metadata": {**made.body["metadata"], "uid": "uid-service"}})
    assert apply_service(request(_leader_worker()), owner, live) is None
    changed = apply_service(request(_leader_worker(sharedServiceSelection="All")), owner, live)
    assert changed is not None
    assert changed.uid == "uid-service"
    assert labels.COMPONENT_NAME not in changed.body["spec"]["selector"]


def test_leader_and_workers_are_patched_each_on_its_own() -> None:
    leader, worker = components(
        request(
            _leader_worker(
                leaderTemplatePatch={"metadata": {"labels": {"tier": "leader"}}},
                workerTemplatePatch={"spec": {"containers": [{"name": "main", "env": [{"name": "W", "value": "1"}]}]}},
            )
        )
    )
    assert _labels(leader)["tier"] == "leader"
    assert "tier" not in _labels(worker)
    assert "W" not in variables(leader["template"])
    assert variables(worker["template"])[-1] == "W"
    assert worker["template"]["spec"]["containers"][0]["image"] == "engine:1"


# Custom components ----------------------------------------------------------------------------------------------------


def test_custom_components_keep_their_order_and_one_without_size_has_one_pod() -> None:
    built = components(
        request(_custom({"name": "b", "size": 2, "template": template()}, {"name": "a", "template": template()}))
    )
    assert [(item["name"], item["size"], _labels(item)[labels.COMPONENT_SIZE]) for item in built] == [
        ("b", 2, "2"),
        ("a", 1, "1"),
    ]
    assert all(labels.COMPONENT_NAME not in _labels(item) for item in built)


def test_a_component_names_its_own_service_or_gets_the_roles() -> None:
    built = components(
        request(
            _custom({"name": "a", "serviceName": "own", "template": template()}, {"name": "b", "template": template()})
        )
    )
    assert [item["serviceName"] for item in built] == ["own", "s-llm-serve"]


def test_labels_and_annotations_of_a_component_are_kept_and_laid_over_those_of_its_template() -> None:
    told = {
        labels.RESTART_TRIGGER_POLICY: "Ignore",
        labels.COMPONENT_DEPENDS_ON: '{"startAfter":["b"]}',
        labels.PORT_ALLOCATOR: "{}",
        labels.COMPONENT_DISCOVERY: "{}",
    }
    source = {
        "metadata": {"labels": {"x": "template", "y": "template"}, "annotations": {"z": "template"}},
        **template(),
    }
    (built,) = components(
        request(_custom({"name": "a", "labels": {"x": "own"}, "annotations": told, "template": source}))
    )
    assert (built["labels"], built["annotations"]) == ({"x": "own"}, told)
    assert (_labels(built)["x"], _labels(built)["y"]) == ("own", "template")
    assert built["template"]["metadata"]["annotations"] == {**told, "z": "template"}


def test_no_label_of_a_component_takes_the_place_of_one_of_ours() -> None:
    forged = {labels.ROLE_NAME: "other", labels.COMPONENT_SIZE: "9"}
    (built,) = components(request(_custom({"name": "a", "labels": forged, "template": template()})))
    assert (_labels(built)[labels.ROLE_NAME], _labels(built)[labels.COMPONENT_SIZE]) == ("serve", "1")


def test_pods_of_a_stateless_role_have_neither_ordinal_nor_discovery_file() -> None:
    role = _custom(
        {"name": "a", "template": template()}, annotations={labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS}
    )
    asked = request(role)
    (built,) = components(asked)
    assert "RBG_ROLE_INDEX" not in variables(built["template"])
    assert "volumes" not in built["template"]["spec"]
    assert "volumeMounts" not in built["template"]["spec"]["containers"][0]
    assert _created(asked).body["metadata"]["annotations"][labels.INSTANCE_PATTERN] == labels.PATTERN_STATELESS


# Role templates -------------------------------------------------------------------------------------------------------

BASE = {
    "base": {
        "metadata": {"labels": {"base": "1"}},
        "spec": {"containers": [{"name": "app", "image": "app:1", "env": [{"name": "A", "value": "1"}]}]},
    }
}


@pytest.mark.parametrize("field", ["standalonePattern", "leaderWorkerPattern"])
def test_a_role_template_is_taken_with_the_roles_patch(field: str) -> None:
    patch = {"spec": {"containers": [{"name": "app", "env": [{"name": "B", "value": "2"}]}]}}
    role = {"name": "a", field: {"templateRef": {"name": "base", "patch": patch}}}
    built = components(request(role, templates=BASE))[0]
    assert _labels(built)["base"] == "1"
    assert set(variables(built["template"])) >= {"A", "B"}
    assert built["template"]["spec"]["containers"][0]["image"] == "app:1"


def test_roles_that_share_a_template_do_not_see_each_others_patches() -> None:
    before = copy.deepcopy(BASE)
    for image in ("app:2", "app:3"):
        patch = {"spec": {"containers": [{"name": "app", "image": image}]}}
        role = {"name": "a", "standalonePattern": {"templateRef": {"name": "base", "patch": patch}}}
        (built,) = components(request(role, templates=BASE))
        assert built["template"]["spec"]["containers"][0]["image"] == image
    assert before == BASE


FAULTY: dict[str, tuple[dict[str, Any], str]] = {
    "no such role template": (
        {"standalonePattern": {"templateRef": {"name": "ghost", "patch": {}}}},
        "templateRef.name: ghost is no entry of spec.roleTemplates; add the entry or correct the name",
    ),
    "no patch": ({"standalonePattern": {"templateRef": {"name": "base"}}}, "templateRef.patch: is required; write {}"),
    "a patch that is no object": (
        {"standalonePattern": {"templateRef": {"name": "base", "patch": [1]}}},
        "templateRef.patch: is no object; write a strategic merge patch",
    ),
    "an item without its key": (
        {"leaderWorkerPattern": {"template": template(), "workerTemplatePatch": {"spec": {"containers": [{}]}}}},
        "workerTemplatePatch: is no strategic merge patch",
    ),
    "a patch that leaves no containers": (
        {"leaderWorkerPattern": {"template": template(), "leaderTemplatePatch": {"spec": {"containers": None}}}},
        "leaderTemplatePatch: leaves a template in which spec.containers is empty",
    ),
    "a patch that makes text of a list": (
        {"leaderWorkerPattern": {"template": template(), "leaderTemplatePatch": {"spec": {"containers": "x"}}}},
        "leaderTemplatePatch: leaves a template in which spec.containers is no list of objects",
    ),
    "no template": ({"standalonePattern": {}}, "the pattern has no template; set template or templateRef"),
    "no pattern": ({}, "declares no pattern"),
    "no components": ({"customComponentsPattern": {"components": []}}, "has no components; add one"),
    "a component of another shape": (
        {"customComponentsPattern": {"components": [{"name": "c", "template": {"spec": {"containers": "x"}}}]}},
        "component c: spec.containers is no list of objects; write one",
    ),
    "a Deployment of components": (
        {"annotations": DEPLOYMENT, "customComponentsPattern": {"components": [{"name": "c", "template": {}}]}},
        "a Deployment has one kind of pod; set standalonePattern",
    ),
    "a LeaderWorkerSet without pattern": (
        {"annotations": LWS, "standalonePattern": {"template": template()}},
        "set leaderWorkerPattern",
    ),
    "a LeaderWorkerSet of a role template": (
        {"annotations": LWS, "leaderWorkerPattern": {"templateRef": {"name": "base", "patch": {}}}},
        "write it inline",
    ),
}


@pytest.mark.parametrize("what", FAULTY)
def test_a_role_that_does_not_say_what_its_pods_are_is_a_fault_that_says_what_to_do(what: str) -> None:
    role, words = FAULTY[what]
    found = fault(request({"name": "a", **role}, templates=BASE))
    assert found is not None
    assert words in str(found)


def test_a_role_that_says_what_its_pods_are_is_no_fault() -> None:
    assert fault(request(_leader_worker())) is None
    assert (
        fault(request({"name": "a", "annotations": DEPLOYMENT, "standalonePattern": {"template": template()}})) is None
    )


# Other workloads ------------------------------------------------------------------------------------------------------


def test_a_stateful_set_tells_its_ordinal_and_mounts_the_discovery_file_and_a_deployment_does_neither() -> None:
    role = {"name": "a", "standalonePattern": {"template": template()}}
    stateful = pod_template(request({**role, "annotations": STATEFUL_SET}))
    assert variables(stateful) == ["RBG_GROUP_NAME", "RBG_ROLE_INDEX", "RBG_ROLE_NAME"]
    assert stateful["spec"]["volumes"][0]["configMap"]["name"] == "llm"
    assert set(stateful["metadata"]["labels"]) == {labels.GROUP_NAME, labels.GROUP_UID, labels.ROLE_NAME}
    stateless = pod_template(request({**role, "annotations": DEPLOYMENT}))
    assert variables(stateless) == ["RBG_GROUP_NAME", "RBG_ROLE_NAME"]
    assert "volumes" not in stateless["spec"]


def test_a_stateful_set_of_a_leader_worker_role_has_the_template_that_both_share() -> None:
    patch = {"metadata": {"labels": {"tier": "leader"}}}
    built = pod_template(request({**_leader_worker(leaderTemplatePatch=patch), "annotations": STATEFUL_SET}))
    assert "tier" not in built["metadata"]["labels"]
    assert container_names(built) == ["main"]


def test_a_leader_worker_set_has_both_templates_each_with_its_patch() -> None:
    leader, worker = leader_worker(
        request(
            {
                **_leader_worker(leaderTemplatePatch={"spec": {"containers": [{"name": "main", "command": ["lead"]}]}}),
                "annotations": LWS,
            }
        )
    )
    assert leader["spec"]["containers"][0]["command"] == ["lead"]
    assert "command" not in worker["spec"]["containers"][0]
    assert variables(leader) == variables(worker) == ["RBG_GROUP_NAME", "RBG_ROLE_INDEX", "RBG_ROLE_NAME"]


# Gang, metadata, what is left alone -----------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["true", "false", ""])
def test_pods_of_a_gang_name_their_pod_group_in_the_way_of_their_scheduler(asked: str) -> None:
    role = {"name": "a", "standalonePattern": {"template": template()}}
    annotations = {labels.GROUP_GANG_SCHEDULING: asked} if asked else {}
    (plugins,) = components(request(role, annotations=annotations))
    (volcano,) = components(request(role, annotations=annotations, scheduler=GangScheduler.VOLCANO))
    named = "llm" if asked == "true" else None
    assert _labels(plugins).get(labels.GANG_POD_GROUP) == named
    assert labels.GANG_POD_GROUP not in _labels(volcano)
    assert volcano["template"]["metadata"].get("annotations", {}).get(labels.GANG_VOLCANO_GROUP) == named


def test_only_a_set_whose_pods_return_to_their_nodes_names_the_group_by_its_uid() -> None:
    role = {"name": "a", "standalonePattern": {"template": template()}}
    assert labels.RBG_OWNER_UID not in _created(request(role)).body["metadata"]["labels"]
    role["annotations"] = {labels.INPLACE_SCHEDULING: "Preferred"}
    assert _created(request(role)).body["metadata"]["labels"][labels.RBG_OWNER_UID] == "uid-llm"


def test_fields_that_users_may_set_on_a_set_are_left_alone() -> None:
    asked = request({"name": "a", "standalonePattern": {"template": template()}})
    body = dict(_created(asked).body)
    theirs = {"scaleStrategy": {"maxUnavailable": 1}, "lifecycle": {"preDelete": {}}, "revisionHistoryLimit": 3}
    assert not theirs.keys() & body["spec"].keys()
    live = decoded(RoleInstanceSet, {**body, "spec": {**body["spec"], **theirs}})
    assert apply_set(asked, live) is None


def test_a_set_of_upstream_that_is_as_we_would_make_it_is_taken_over_without_a_write() -> None:
    asked = request(_leader_worker())
    body = dict(_created(asked).body)
    annotations = dict(body["metadata"]["annotations"])
    del annotations[labels.OWNER_GENERATION]
    live = decoded(RoleInstanceSet, {**body, "metadata": {**body["metadata"], "annotations": annotations}})
    assert apply_set(asked, live) is None


def test_the_nodes_that_a_set_remembers_survive_that_it_is_taken_over() -> None:
    asked = request({"name": "a", "standalonePattern": {"template": template()}})
    body = dict(_created(asked).body)
    remembered = {labels.PREFIX_NODE + "llm-a-0": "0/a/node-1", labels.ROLE_SIZE: "9"}
    live = decoded(RoleInstanceSet, {**body, "metadata": {**body["metadata"], "annotations": remembered}})
    taken = apply_set(asked, live)
    assert taken is not None
    assert taken.inherit
    assert taken.leave == (("metadata", "annotations", "node.rbgctrl.io/llm-a-0"),)


# Ports that a role shares ---------------------------------------------------------------------------------------------

ALLOCATOR = '{"allocations":[{"name":"http","env":"PORT","scope":"RoleScoped"}]}'
SHARING = _custom({"name": "c", "annotations": {labels.PORT_ALLOCATOR: ALLOCATOR}, "template": template()})


def _with_ports(span: PortRange | None, *used: int, held: Mapping[str, str] | None = None) -> WorkloadRequest:
    asked = request(SHARING)
    return WorkloadRequest(
        group=asked.group,
        role=asked.role,
        replicas=1,
        rendered=asked.rendered,
        service=asked.service,
        ports=span,
        used_ports=frozenset(used),
        held=held or {},
    )


def test_a_port_that_all_instances_share_is_written_on_the_set_and_stays() -> None:
    made = _created(_with_ports(PortRange(30000, 2), 30001))
    assert made.body["metadata"]["annotations"]["c.http"] == "30000"
    live = decoded(RoleInstanceSet, made.body)
    for span in (PortRange(40000, 5), None, PortRange(30000, 1)):
        assert apply_set(_with_ports(span, 30000, held=live.metadata.annotations), live) is None


def test_a_role_without_a_free_port_is_told_so_and_not_created() -> None:
    asked = _with_ports(PortRange(30000, 2), 30000, 30001)
    assert str(fault(asked)) == "no port of 30000 to 30001 is free for c.http; widen --port-range"
    with pytest.raises(TemplateError):
        apply_set(asked, None)


def test_without_the_allocator_no_port_is_given() -> None:
    assert "c.http" not in _created(_with_ports(None)).body["metadata"]["annotations"]
