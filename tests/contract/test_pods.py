"""Pods: what is filled in, what may change, and what nodes do with them."""

from __future__ import annotations

import pytest

from contract.support import Api, Obj, case, metadata, pod
from rbgctrl.api.core import Node, Pod
from rbgctrl.client import ApiStatusError, ConflictError, InvalidError, PatchType

MAIN = {"name": "main", "image": "registry.example/engine:1"}


@case
async def test_a_pod_gets_its_defaults(api: Api) -> None:
    ports = [{"containerPort": 80}, {"containerPort": 81, "name": "b", "protocol": "UDP"}]
    env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    made = await api.create(Pod, pod("a", {"containers": [{**MAIN, "ports": ports, "env": env}]}))
    spec = made["spec"]
    (container,) = spec["containers"]
    assert container == {
        **MAIN,
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "resources": {},
        "ports": [{"containerPort": 80, "protocol": "TCP"}, ports[1]],
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}],
    }
    rest = {name: value for name, value in spec.items() if name not in ("containers", "tolerations")}
    assert rest == {
        "schedulerName": "nobody",
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "enableServiceLinks": True,
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    assert {(item["key"], item["effect"], item["tolerationSeconds"]) for item in spec["tolerations"]} == {
        ("node.kubernetes.io/not-ready", "NoExecute", 300),
        ("node.kubernetes.io/unreachable", "NoExecute", 300),
    }
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("image", "policy"), [("i", "Always"), ("i:latest", "Always"), ("i:1", "IfNotPresent"), ("h:5000/i", "Always")]
)
@case
async def test_only_a_tagged_image_is_kept_on_the_node(api: Api, image: str, policy: str) -> None:
    made = await api.create(Pod, pod("a", {"containers": [{"name": "main", "image": image}]}))
    assert made["spec"]["containers"][0]["imagePullPolicy"] == policy


QOS: dict[str, tuple[Obj, str]] = {
    "nothing asked for": ({}, "BestEffort"),
    "requests only": ({"requests": {"cpu": "1"}}, "Burstable"),
    "requests below limits": ({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}, "Burstable"),
    "limits of both": ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
    "limits of one": ({"limits": {"cpu": "1"}}, "Burstable"),
    "a device only": ({"limits": {"nvidia.com/gpu": "1"}}, "BestEffort"),
}


@pytest.mark.parametrize(("resources", "wanted"), QOS.values(), ids=QOS)
@case
async def test_limits_become_requests_and_decide_the_class(api: Api, resources: Obj, wanted: str) -> None:
    made = await api.create(Pod, pod("a", {"containers": [{**MAIN, "resources": resources}]}))
    stored = made["spec"]["containers"][0]["resources"]
    assert made["status"]["qosClass"] == wanted
    if "limits" in resources:
        assert stored["requests"] == {**resources["limits"], **resources.get("requests", {})}


REFUSED: dict[str, tuple[Obj, str]] = {
    "no containers": ({"containers": []}, "spec.containers: Required value"),
    "two containers of one name": ({"containers": [MAIN, MAIN]}, "spec.containers[1].name: Duplicate value"),
    "a container without an image": ({"containers": [{"name": "a"}]}, "spec.containers[0].image: Required value"),
    "a container without a name": ({"containers": [{"image": "i"}]}, "spec.containers[0].name: Required value"),
    "a container's name in upper case": ({"containers": [{**MAIN, "name": "A"}]}, "spec.containers[0].name"),
    "an unknown restart policy": ({"restartPolicy": "Sometimes"}, "spec.restartPolicy: Unsupported value"),
    "a port out of range": (
        {"containers": [{**MAIN, "ports": [{"containerPort": 70000}]}]},
        "spec.containers[0].ports[0].containerPort: Invalid value",
    ),
    "a request above the limit": (
        {"containers": [{**MAIN, "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]},
        "spec.containers[0].resources.requests: Invalid value",
    ),
    "a device without a limit": (
        {"containers": [{**MAIN, "resources": {"requests": {"nvidia.com/gpu": "1"}}}]},
        "spec.containers[0].resources.limits",
    ),
    "a mount of no volume": (
        {"containers": [{**MAIN, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
        "spec.containers[0].volumeMounts[0].name: Not found",
    ),
    "a host name that is none": ({"hostname": "A_b"}, "spec.hostname: Invalid value"),
}


@pytest.mark.parametrize(("spec", "words"), REFUSED.values(), ids=REFUSED)
@case
async def test_a_pod_that_cannot_run_is_invalid(api: Api, spec: Obj, words: str) -> None:
    with pytest.raises(InvalidError) as raised:
        await api.create(Pod, pod("a", spec))
    assert raised.value.message.startswith('Pod "a" is invalid: ')
    assert words in raised.value.message


@case
async def test_a_quantity_that_cannot_be_read_is_refused(api: Api) -> None:
    resources = {"limits": {"cpu": "lots"}}
    with pytest.raises(ApiStatusError) as raised:
        await api.create(Pod, pod("a", {"containers": [{**MAIN, "resources": resources}]}))
    assert raised.value.status == 400
    assert "quantities must match the regular expression" in raised.value.message


# -- what may change ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", [PatchType.STRATEGIC, PatchType.MERGE], ids=lambda value: value.name.lower())
@case
async def test_the_image_of_a_container_may_change(api: Api, type: PatchType) -> None:  # noqa: A002 - the API's own word
    made = await api.create(Pod, pod("a"))
    container = {**made["spec"]["containers"][0], "image": "registry.example/engine:2"}
    changed = await api.patch(Pod, "a", {"spec": {"containers": [container]}}, type=type)
    assert changed["spec"]["containers"] == [container]
    assert changed["metadata"]["generation"] == 2


FIXED: dict[str, Obj] = {
    "a command": {"containers": [{**MAIN, "command": ["x"]}]},
    "a variable": {"containers": [{**MAIN, "env": [{"name": "A", "value": "B"}]}]},
    "another container": {"containers": [MAIN, {"name": "other", "image": "i:1"}]},
    "a node": {"nodeName": "nowhere"},
    "a host name": {"hostname": "b"},
    "a grace period": {"terminationGracePeriodSeconds": 5},
    "a readiness gate": {"readinessGates": [{"conditionType": "x/y"}]},
    "a node selector": {"nodeSelector": {"a": "b"}},
}


@pytest.mark.parametrize("change", FIXED.values(), ids=FIXED)
@case
async def test_nearly_everything_else_of_a_spec_may_not(api: Api, change: Obj) -> None:
    made = await api.create(Pod, pod("a"))
    with pytest.raises(InvalidError) as raised:
        await api.patch(Pod, "a", {"spec": change}, type=PatchType.STRATEGIC)
    assert "Forbidden: pod updates may not " in raised.value.message
    assert await api.get(Pod, "a") == made


@case
async def test_tolerations_are_added_and_never_taken_away(api: Api) -> None:
    made = await api.create(Pod, pod("a"))
    more = [*made["spec"]["tolerations"], {"key": "x", "operator": "Exists"}]
    changed = await api.patch(Pod, "a", {"spec": {"tolerations": more}})
    assert changed["spec"]["tolerations"] == more
    with pytest.raises(InvalidError, match="existing toleration can not be modified except its tolerationSeconds"):
        await api.patch(Pod, "a", {"spec": {"tolerations": []}})
    sooner = [{**item, "tolerationSeconds": 5} if item["key"] != "x" else item for item in more]
    changed = await api.patch(Pod, "a", {"spec": {"tolerations": sooner}})
    assert changed["spec"]["tolerations"] == sooner


@case
async def test_tolerations_of_lost_nodes_come_back_in_an_update_that_leaves_them_out(api: Api) -> None:
    made = await api.create(Pod, pod("a"))
    bare = {name: value for name, value in made["spec"].items() if name != "tolerations"}
    assert await api.replace(Pod, "a", {**made, "spec": bare}) == made
    changed = await api.patch(Pod, "a", {"spec": {"tolerations": [{"key": "x", "operator": "Exists"}]}})
    assert changed["spec"]["tolerations"] == [{"key": "x", "operator": "Exists"}, *made["spec"]["tolerations"]]
    # They come back after it was noted who wrote what.
    again = await api.manager("them").patch(Pod, "a", {"spec": {"tolerations": [{"key": "x", "operator": "Exists"}]}})
    assert again["spec"] == changed["spec"]
    owners = [
        entry["manager"]
        for entry in again["metadata"]["managedFields"]
        if "f:tolerations" in entry["fieldsV1"].get("f:spec", {})
    ]
    assert owners == ["them"]


@case
async def test_a_deadline_can_be_set_and_come_nearer_but_not_go(api: Api) -> None:
    await api.create(Pod, pod("a"))
    await api.patch(Pod, "a", {"spec": {"activeDeadlineSeconds": 100}})
    await api.patch(Pod, "a", {"spec": {"activeDeadlineSeconds": 50}})
    for value, message in (
        (60, "Invalid value: 60: must be less than or equal to previous value"),
        (None, "Invalid value: null: must not update from a positive integer to nil value"),
        (-1, "Invalid value: -1: must be between 0 and 2147483647, inclusive"),
    ):
        with pytest.raises(InvalidError) as raised:
            await api.patch(Pod, "a", {"spec": {"activeDeadlineSeconds": value}})
        assert f"spec.activeDeadlineSeconds: {message}" in raised.value.message


@case
async def test_all_reasons_against_an_update_are_given_until_the_number_of_containers_differs(api: Api) -> None:
    await api.create(Pod, pod("a"))
    wrong = {"metadata": {"labels": {"x": "not ok"}}, "spec": {"tolerations": [], "containers": [{"name": "y"}]}}
    with pytest.raises(InvalidError) as raised:
        await api.patch(Pod, "a", wrong, type=PatchType.STRATEGIC)
    label = 'metadata.labels: Invalid value: "not ok": a valid label must be'
    assert raised.value.message.startswith(f'Pod "a" is invalid: [{label}')
    assert raised.value.message.endswith(
        "spec.containers[0].image: Required value, "
        "spec.containers: Forbidden: pod updates may not add or remove containers]"
    )


@case
async def test_a_gated_pod_waits_until_its_last_gate_is_removed(api: Api) -> None:
    gates = [{"name": "example.com/a"}, {"name": "example.com/b"}]
    made = await api.create(Pod, pod("a", {"schedulingGates": gates}))
    (condition,) = made["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "SchedulingGated")
    with pytest.raises(ApiStatusError):
        await bind(api, "a")
    less = await api.patch(Pod, "a", {"spec": {"schedulingGates": gates[1:]}})
    assert less["spec"]["schedulingGates"] == gates[1:]
    with pytest.raises(InvalidError, match="schedulingGates"):
        await api.patch(Pod, "a", {"spec": {"schedulingGates": gates}})
    free = await api.patch(Pod, "a", {"spec": {"schedulingGates": []}})
    assert "schedulingGates" not in free["spec"]
    await bind(api, "a")


# -- subresources ------------------------------------------------------------------------------------------------------


async def bind(api: Api, name: str, node: str = "nowhere", **meta: str) -> None:
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata(name, **meta)}
    body["target"] = {"kind": "Node", "name": node}
    done = await api.send("POST", Pod.KIND.path(api.namespace, name, "binding"), body=body)
    assert (done["kind"], done["status"]) == ("Status", "Success")


@case
async def test_a_pod_is_bound_once(api: Api) -> None:
    made = await api.create(Pod, pod("a"))
    await bind(api, "a")
    bound = await api.get(Pod, "a")
    assert bound["spec"]["nodeName"] == "nowhere"
    (condition,) = bound["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "True")
    assert bound["metadata"]["uid"] == made["metadata"]["uid"]
    with pytest.raises(ConflictError, match="already assigned to node"):
        await bind(api, "a", "elsewhere")


@case
async def test_an_evicted_pod_is_deleted(api: Api) -> None:
    await api.create(Pod, pod("a"))
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata("a", namespace=api.namespace)}
    done = await api.send("POST", Pod.KIND.path(api.namespace, "a", "eviction"), body=body)
    assert done["status"] == "Success"
    assert await api.find(Pod, "a") is None


@case
async def test_a_kubelet_reports_into_the_status(api: Api) -> None:
    await api.create(Pod, pod("a", {"nodeName": "nowhere"}))
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    container = {"name": "main", "image": "i", "imageID": "x", "ready": True, "restartCount": 1, "state": state}
    status = {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
        "hostIP": "10.1.0.1",
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "containerStatuses": [container],
    }
    changed = await api.patch(Pod, "a", {"status": status}, type=PatchType.STRATEGIC, subresource="status")
    for name in ("phase", "podIP", "podIPs", "startTime"):
        assert changed["status"][name] == status[name]
    assert changed["status"]["containerStatuses"][0]["restartCount"] == 1
    assert changed["metadata"]["generation"] == 1


# -- nodes -------------------------------------------------------------------------------------------------------------


@case
async def test_a_node_is_created_tainted_and_its_status_is_its_own(api: Api) -> None:
    name = f"node-{api.namespace}"
    await api.create(Node, {"metadata": metadata(name), "status": {"allocatable": {"cpu": "8"}}})
    condition = {"type": "Ready", "status": "True", "reason": "x"}
    changed = await api.patch(
        Node,
        name,
        {"status": {"allocatable": {"nvidia.com/gpu": "8"}, "conditions": [condition]}},
        type=PatchType.STRATEGIC,
        subresource="status",
    )
    assert changed["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert changed["status"]["conditions"][0]["type"] == "Ready"
    cordoned = await api.becomes(Node, name, lambda obj: "status" in obj)
    cordoned = await api.patch(Node, name, {"spec": {"unschedulable": True}})
    assert cordoned["spec"]["unschedulable"] is True
    assert cordoned["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    await api.delete(Node, name)
