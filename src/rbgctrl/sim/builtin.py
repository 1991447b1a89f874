"""Rows of the built-in kinds: what they default and refuse, as far as controllers of groups can see it."""

from __future__ import annotations

from typing import Any, Final

from rbgctrl.api.meta import Kind
from rbgctrl.sim.defaults import (
    admitted_namespace,
    admitted_pod,
    admitted_service,
    controller_revision,
    definition,
    deployment,
    namespace,
    node,
    pod,
    readmitted_pod,
    replica_set,
    secret,
    service,
    stateful_set,
)
from rbgctrl.sim.kinds import Names, Prepare, Row, Scale
from rbgctrl.sim.podrules import pod_rules
from rbgctrl.sim.printers import COLUMNS
from rbgctrl.sim.rules import (
    config_map_rules,
    controller_revision_rules,
    definition_rules,
    endpoint_slice_rules,
    event_rules,
    lease_rules,
    secret_rules,
    service_rules,
    workload_rules,
)
from rbgctrl.sim.schema import ANY, Schema
from rbgctrl.sim.types import builtin_schema

__all__ = ["rows"]

_REPLICAS: Final = Scale(selector=("spec", "selector"))


def _schema(kind: str) -> Schema:
    schema = builtin_schema(kind).copy()
    schema.fields = {**schema.fields, "metadata": ANY}  # looked after by the server itself
    return schema


def _plain(group: str, version: str, kind: str, plural: str, *short: str, namespaced: bool = True) -> Row:
    return Row(
        kind=Kind(group, version, kind, plural, namespaced),
        names=Names(singular=kind.lower(), short=short),
        schema=_schema(kind),
        zero={"metadata": {}},
    )


def _workload(kind: str, plural: str, short: str, prepare: Prepare) -> Row:
    return Row(
        kind=Kind("apps", "v1", kind, plural),
        names=Names(singular=kind.lower(), short=(short,), categories=("all",)),
        schema=_schema(kind),
        status=True,
        scale=_REPLICAS,
        generation=True,
        prepare=prepare,
        check=workload_rules,
        zero={
            "metadata": {},
            "spec": {
                "template": {"metadata": {}, "spec": {"containers": None}},
                **({"strategy": {}} if kind == "Deployment" else {}),
                **({"updateStrategy": {}} if kind == "StatefulSet" else {}),
            },
            "status": {},
        },
    )


def rows() -> tuple[Row, ...]:
    """Fresh rows of all built-in kinds."""
    found = _rows()
    for row in found:
        row.columns = COLUMNS.get(row.kind.kind, ())
    return found


def _rows() -> tuple[Row, ...]:
    both: dict[str, Any] = {"metadata": {}, "spec": {}, "status": {}}
    return (
        Row(
            kind=Kind("", "v1", "Namespace", "namespaces", namespaced=False),
            names=Names(singular="namespace", short=("ns",)),
            schema=_schema("Namespace"),
            status=True,
            selectable=("status.phase",),
            prepare=namespace,
            admit=admitted_namespace,
            returns_object=True,
            zero=both,
        ),
        Row(
            kind=Kind("", "v1", "Pod", "pods"),
            names=Names(singular="pod", short=("po",), categories=("all",)),
            schema=_schema("Pod"),
            status=True,
            generation=True,
            graceful=True,
            returns_object=True,
            selectable=(
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "spec.hostNetwork",
                "status.phase",
                "status.podIP",
                "status.nominatedNodeName",
            ),
            prepare=pod,
            admit=admitted_pod,
            readmit=readmitted_pod,
            check=pod_rules,
            zero={"metadata": {}, "spec": {"containers": None}, "status": {}},
        ),
        Row(
            kind=Kind("", "v1", "Node", "nodes", namespaced=False),
            names=Names(singular="node", short=("no",)),
            schema=_schema("Node"),
            status=True,
            born_with_status=True,
            selectable=("spec.unschedulable",),
            prepare=node,
            zero={**both, "status": {"daemonEndpoints": {"kubeletEndpoint": {}}, "nodeInfo": {}}},
        ),
        Row(
            kind=Kind("", "v1", "Service", "services"),
            names=Names(singular="service", short=("svc",), categories=("all",)),
            schema=_schema("Service"),
            status=True,
            returns_object=True,
            selectable=("spec.clusterIP", "spec.type"),
            prepare=service,
            put_creates=True,
            admit=admitted_service,
            check=service_rules,
            zero={**both, "status": {"loadBalancer": {}}},
        ),
        Row(
            kind=Kind("", "v1", "ConfigMap", "configmaps"),
            names=Names(singular="configmap", short=("cm",)),
            schema=_schema("ConfigMap"),
            check=config_map_rules,
            zero={"metadata": {}},
        ),
        Row(
            kind=Kind("", "v1", "Secret", "secrets"),
            names=Names(singular="secret"),
            schema=_schema("Secret"),
            selectable=("type",),
            prepare=secret,
            check=secret_rules,
            zero={"metadata": {}},
        ),
        Row(
            kind=Kind("", "v1", "Event", "events"),
            names=Names(singular="event", short=("ev",)),
            schema=_schema("Event"),
            selectable=(
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "involvedObject.resourceVersion",
                "involvedObject.fieldPath",
                "reason",
                "reportingComponent",
                "source",
                "type",
            ),
            put_creates=True,
            check=event_rules,
            zero={
                "metadata": {},
                "involvedObject": {},
                "source": {},
                "firstTimestamp": None,
                "lastTimestamp": None,
                "eventTime": None,
                "reportingComponent": "",
                "reportingInstance": "",
            },
        ),
        _plain("", "v1", "ServiceAccount", "serviceaccounts", "sa"),
        _plain("", "v1", "Endpoints", "endpoints", "ep"),
        Row(
            kind=Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
            names=Names(singular="endpointslice"),
            schema=_schema("EndpointSlice"),
            generation=True,
            check=endpoint_slice_rules,
            zero={"metadata": {}, "endpoints": None, "ports": None},
        ),
        Row(
            kind=Kind("apps", "v1", "ControllerRevision", "controllerrevisions"),
            names=Names(singular="controllerrevision"),
            schema=_schema("ControllerRevision"),
            prepare=controller_revision,
            check=controller_revision_rules,
            zero={"metadata": {}},
        ),
        _workload("Deployment", "deployments", "deploy", deployment),
        _workload("StatefulSet", "statefulsets", "sts", stateful_set),
        _workload("ReplicaSet", "replicasets", "rs", replica_set),
        Row(
            kind=Kind("coordination.k8s.io", "v1", "Lease", "leases"),
            names=Names(singular="lease"),
            schema=_schema("Lease"),
            check=lease_rules,
            put_creates=True,
            versioned=True,
            zero={"metadata": {}, "spec": {}},
        ),
        Row(
            kind=Kind(
                "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
            ),
            prepare=definition,
            check=definition_rules,
            names=Names(singular="customresourcedefinition", short=("crd", "crds"), categories=("api-extensions",)),
            status=True,
            generation=True,
            returns_object=True,
            zero=both,
        ),
    )
