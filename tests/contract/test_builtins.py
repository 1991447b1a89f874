"""Services, revisions, events, leases, ConfigMaps, Secrets and the kinds that roles may be run by."""

from __future__ import annotations

import base64

import pytest

from contract.support import (
    Api,
    Deployment,
    EndpointSlice,
    Obj,
    PodGroup,
    Secret,
    StatefulSet,
    case,
    config_map,
    metadata,
    pod,
    service,
)
from rbgctrl.api.core import ConfigMap, ControllerRevision, Event, Lease, Service
from rbgctrl.client import BadRequestError, InvalidError, PatchType

# -- services ----------------------------------------------------------------------------------------------------------


@case
async def test_a_headless_service_stays_headless(api: Api) -> None:
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"a": "b"}, "type": "ClusterIP"}
    made = await api.apply(Service, "a", {"metadata": metadata("a"), "spec": spec}, force=True)
    assert made["spec"] == {
        **spec,
        "clusterIPs": ["None"],
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "sessionAffinity": "None",
    }
    assert made["status"] == {"loadBalancer": {}}
    assert await api.apply(Service, "a", {"metadata": metadata("a"), "spec": spec}, force=True) == made


@case
async def test_a_plain_service_is_given_an_address_of_its_own(api: Api) -> None:
    first = await api.create(Service, service("a"))
    second = await api.create(Service, service("b"))
    addresses = [item["spec"]["clusterIP"] for item in (first, second)]
    assert all(address.startswith("10.96.") for address in addresses)
    assert len(set(addresses)) == 2
    assert first["spec"]["clusterIPs"] == addresses[:1]


@case
async def test_ports_of_a_service_get_their_defaults(api: Api) -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81, "targetPort": "http", "protocol": "UDP"}]
    made = await api.create(Service, service("a", {"clusterIP": "None", "ports": ports}))
    assert made["spec"]["ports"] == [{**ports[0], "protocol": "TCP", "targetPort": 80}, ports[1]]


SERVICES: dict[str, tuple[Obj, str]] = {
    "no ports": ({"ports": []}, "spec.ports: Required value"),
    "two ports without a name": ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[0].name: Required value"),
    "a port out of range": ({"ports": [{"port": 0}]}, "spec.ports[0].port: Invalid value"),
    "an unknown type": ({"type": "Other"}, "spec.type: Unsupported value"),
    "an address that is none": ({"clusterIP": "10.96"}, "spec.clusterIPs[0]: Invalid value"),
    "a selector that is no label": ({"selector": {"a": "not ok"}}, "spec.selector: Invalid value"),
}


@pytest.mark.parametrize(("spec", "words"), SERVICES.values(), ids=SERVICES)
@case
async def test_a_service_that_makes_no_sense_is_invalid(api: Api, spec: Obj, words: str) -> None:
    with pytest.raises(InvalidError) as raised:
        await api.create(Service, service("a", spec))
    assert words in raised.value.message


@case
async def test_the_address_of_a_service_is_fixed(api: Api) -> None:
    await api.create(Service, service("a"))
    with pytest.raises(InvalidError, match=r"spec\.clusterIPs\[0\]: Invalid value: .*: may not change once set"):
        await api.patch(Service, "a", {"spec": {"clusterIP": "10.96.200.9", "clusterIPs": ["10.96.200.9"]}})
    made = await api.create(Service, service("b", {"clusterIP": "None"}))
    with pytest.raises(InvalidError):
        await api.patch(Service, "b", {"spec": {"clusterIP": "10.96.200.9", "clusterIPs": ["10.96.200.9"]}})
    assert await api.get(Service, "b") == made


# -- revisions ---------------------------------------------------------------------------------------------------------


@case
async def test_a_revision_keeps_its_data_as_it_came(api: Api) -> None:
    data = {"spec": {"b": None, "a": [1, 2.5, "x", True], "$patch": "replace"}}
    made = await api.create(ControllerRevision, {"metadata": metadata("a"), "revision": 3, "data": data})
    assert made["data"] == data
    assert made["revision"] == 3


REVISIONS: dict[str, Obj] = {
    "a revision below zero": {"revision": -1, "data": {}},
    "no data": {"revision": 1},
}


@pytest.mark.parametrize("fields", REVISIONS.values(), ids=REVISIONS)
@case
async def test_a_revision_that_makes_no_sense_is_invalid(api: Api, fields: Obj) -> None:
    with pytest.raises(InvalidError):
        await api.create(ControllerRevision, {"metadata": metadata("a"), **fields})


# -- events ------------------------------------------------------------------------------------------------------------


def _event(api: Api, **more: object) -> Obj:
    about = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "namespace": api.namespace, "uid": "u"}
    times = {"firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z"}
    return {
        "metadata": metadata("a"),
        "involvedObject": about,
        "type": "Normal",
        "reason": "Created",
        "message": "created x",
        "count": 1,
        "source": {"component": "rbg"},
        "reportingComponent": "rbg",
        "reportingInstance": "",
        **times,
        **more,
    }


@case
async def test_an_event_is_recorded_and_counted_up(api: Api) -> None:
    made = await api.create(Event, _event(api))
    assert made["involvedObject"]["uid"] == "u"
    assert made["count"] == 1
    change = {"count": 2, "lastTimestamp": "2026-01-01T00:01:00Z", "message": "created x again"}
    changed = await api.patch(Event, "a", change)
    assert {name: changed[name] for name in change} == change
    assert changed["firstTimestamp"] == made["firstTimestamp"]


@case
async def test_an_event_is_about_something_in_its_namespace(api: Api) -> None:
    wrong = {"involvedObject": {"kind": "ConfigMap", "name": "x", "namespace": "other"}}
    with pytest.raises(InvalidError, match=r"involvedObject\.namespace"):
        await api.create(Event, _event(api, **wrong))


@case
async def test_events_are_selected_by_what_they_are_about(api: Api) -> None:
    await api.create(Event, _event(api))
    other = _event(api, reason="Deleted", type="Warning")
    other["metadata"] = metadata("b")
    other["involvedObject"] = {**other["involvedObject"], "kind": "Pod", "name": "y", "uid": "v"}
    await api.create(Event, other)
    chosen = {
        "involvedObject.name=x": ["a"],
        "involvedObject.kind=Pod": ["b"],
        "involvedObject.uid=v": ["b"],
        "type=Warning": ["b"],
        "reason=Created": ["a"],
        "type!=Normal,involvedObject.name=y": ["b"],
    }
    assert {text: await api.names(Event, fieldSelector=text) for text in chosen} == chosen


# -- leases ------------------------------------------------------------------------------------------------------------


@case
async def test_a_lease_keeps_its_times_to_the_microsecond(api: Api) -> None:
    spec = {
        "holderIdentity": "us",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000001Z",
        "renewTime": "2026-01-01T00:00:00.123456Z",
        "leaseTransitions": 0,
    }
    made = await api.create(Lease, {"metadata": metadata("a"), "spec": spec})
    assert made["spec"] == spec
    given_back = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 3}
    replaced = await api.replace(Lease, "a", {**made, "spec": given_back})
    assert replaced["spec"] == given_back


LEASES: dict[str, Obj] = {
    "no duration": {"leaseDurationSeconds": 0},
    "a negative number of transitions": {"leaseTransitions": -1},
}


@pytest.mark.parametrize("spec", LEASES.values(), ids=LEASES)
@case
async def test_a_lease_that_makes_no_sense_is_invalid(api: Api, spec: Obj) -> None:
    with pytest.raises(InvalidError, match=r"spec\."):
        await api.create(Lease, {"metadata": metadata("a"), "spec": spec})


@case
async def test_a_time_that_is_none_is_refused(api: Api) -> None:
    with pytest.raises(BadRequestError):
        await api.create(Lease, {"metadata": metadata("a"), "spec": {"renewTime": "now"}})


# -- ConfigMaps and Secrets --------------------------------------------------------------------------------------------


@case
async def test_keys_of_a_config_map_are_file_names(api: Api) -> None:
    assert (await api.create(ConfigMap, config_map("a", {"a.b-C_1": "x", "empty": ""})))["data"]["empty"] == ""
    for key in ("a/b", "", "..", "a b"):
        with pytest.raises(InvalidError, match="data"):
            await api.create(ConfigMap, config_map("b", {key: "x"}))


@case
async def test_an_immutable_config_map_stays_as_it_is(api: Api) -> None:
    await api.create(ConfigMap, {**config_map("a", {"b": "c"}), "immutable": True})
    with pytest.raises(InvalidError, match="data: Forbidden: field is immutable when `immutable` is set"):
        await api.patch(ConfigMap, "a", {"data": {"b": "d"}})
    with pytest.raises(InvalidError, match="immutable"):
        await api.patch(ConfigMap, "a", {"immutable": None})
    assert await api.patch(ConfigMap, "a", {"metadata": {"labels": {"x": "y"}}})


@case
async def test_a_config_map_beyond_a_mebibyte_is_invalid(api: Api) -> None:
    with pytest.raises(InvalidError, match="Too long"):
        await api.create(ConfigMap, config_map("a", {"b": "x" * (2**20 + 1)}))


@case
async def test_a_secret_keeps_its_data_encoded(api: Api) -> None:
    encoded = base64.b64encode(b"hello").decode()
    made = await api.create(Secret, {"metadata": metadata("a"), "data": {"a": encoded}, "stringData": {"b": "hello"}})
    assert made["data"] == {"a": encoded, "b": encoded}
    assert "stringData" not in made
    assert made["type"] == "Opaque"
    with pytest.raises(InvalidError, match="type: Invalid value"):
        await api.patch(Secret, "a", {"type": "example.com/x"})
    with pytest.raises(BadRequestError, match="illegal base64"):
        await api.create(Secret, {"metadata": metadata("b"), "data": {"a": "?"}})


# -- workloads of other kinds ------------------------------------------------------------------------------------------

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]}
SELECTOR = {"matchLabels": {"a": "b"}}


@case
async def test_a_deployment_gets_its_defaults(api: Api) -> None:
    spec = {"replicas": 0, "selector": SELECTOR, "template": TEMPLATE}
    made = await api.create(Deployment, {"metadata": metadata("a"), "spec": spec})
    rest = {name: value for name, value in made["spec"].items() if name not in ("template", "selector")}
    assert rest == {
        "replicas": 0,
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    }
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Always"
    assert made["metadata"]["generation"] == 1


@case
async def test_a_stateful_set_gets_its_defaults(api: Api) -> None:
    spec = {"replicas": 0, "selector": SELECTOR, "template": TEMPLATE, "serviceName": "s"}
    made = await api.create(StatefulSet, {"metadata": metadata("a"), "spec": spec})
    rest = {name: value for name, value in made["spec"].items() if name not in ("template", "selector")}
    assert rest == {
        "replicas": 0,
        "serviceName": "s",
        "podManagementPolicy": "OrderedReady",
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }


@pytest.mark.parametrize("kind", [Deployment, StatefulSet], ids=lambda kind: kind.__name__)
@case
async def test_a_selector_must_match_the_template_and_stay(api: Api, kind: type[Deployment | StatefulSet]) -> None:
    other = {"matchLabels": {"a": "c"}}
    with pytest.raises(InvalidError, match="selector"):
        await api.create(kind, {"metadata": metadata("a"), "spec": {"selector": other, "template": TEMPLATE}})
    with pytest.raises(InvalidError, match="selector"):
        await api.create(kind, {"metadata": metadata("a"), "spec": {"template": TEMPLATE}})
    spec = {"replicas": 0, "selector": SELECTOR, "template": TEMPLATE}
    await api.create(kind, {"metadata": metadata("a"), "spec": spec})
    labels = {"metadata": {"labels": {"a": "c"}}}
    with pytest.raises(InvalidError):
        await api.patch(kind, "a", {"spec": {"selector": other, "template": labels}})


@case
async def test_most_of_a_stateful_set_is_fixed(api: Api) -> None:
    spec = {"replicas": 0, "selector": SELECTOR, "template": TEMPLATE, "serviceName": "s"}
    await api.create(StatefulSet, {"metadata": metadata("a"), "spec": spec})
    with pytest.raises(InvalidError, match="spec: Forbidden: updates to statefulset spec for fields other than"):
        await api.patch(StatefulSet, "a", {"spec": {"serviceName": "t"}})
    changed = await api.patch(StatefulSet, "a", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 5}}}})
    assert changed["metadata"]["generation"] == 2


@case
async def test_containers_in_a_template_are_joined_by_a_strategic_patch(api: Api) -> None:
    spec = {"replicas": 0, "selector": SELECTOR, "template": TEMPLATE}
    await api.create(Deployment, {"metadata": metadata("a"), "spec": spec})
    change = {
        "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "i:9"}, {"name": "b", "image": "i"}]}}}
    }
    changed = await api.patch(Deployment, "a", change, type=PatchType.STRATEGIC)
    found = {item["name"]: item["image"] for item in changed["spec"]["template"]["spec"]["containers"]}
    assert found == {"main": "i:9", "b": "i"}


@case
async def test_an_endpoint_slice_is_stored(api: Api) -> None:
    body = {
        "metadata": metadata("a", labels={"kubernetes.io/service-name": "s"}),
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "hostname": "a-0"}],
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    }
    made = await api.create(EndpointSlice, body)
    assert made["endpoints"] == body["endpoints"]
    assert made["ports"] == body["ports"]
    with pytest.raises(InvalidError, match="addressType"):
        await api.patch(EndpointSlice, "a", {"addressType": "IPv6"})


@case
async def test_a_pod_group_is_stored(api: Api) -> None:
    made = await api.create(PodGroup, {"metadata": metadata("a"), "spec": {"minMember": 3}})
    assert made["spec"] == {"minMember": 3}
    assert (await api.patch(PodGroup, "a", {"spec": {"minMember": 4}}))["spec"]["minMember"] == 4
