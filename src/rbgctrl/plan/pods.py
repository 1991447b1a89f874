"""The pod an instance's component asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rbgctrl.api import labels, names
from rbgctrl.api.core import Pod
from rbgctrl.api.instances import InstanceComponent, RoleInstance
from rbgctrl.api.meta import Key
from rbgctrl.plan.identity import pod_role_id
from rbgctrl.plan.model import Create
from rbgctrl.plan.podstate import GATES
from rbgctrl.plan.revision import Revision, owner_reference
from rbgctrl.plan.samenode import Return, with_affinity
from rbgctrl.plan.staleness import stamped
from rbgctrl.plan.template import merge_environment

__all__ = ["GATES", "Additions", "create_pod"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """What a pod gets that depends on its siblings and its past.

    Attributes:
        variables: environment of every container, init containers included.
        annotations: laid over the template's.
        to: where it is to go.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    to: Return | None = None


def create_pod(
    instance: RoleInstance,
    component: InstanceComponent,
    index: int,
    role_type: str,
    revision: Revision,
    additions: Additions | None = None,
) -> Create:
    """The create of pod ``index`` of a component at ``revision``.

    RoleID, readiness gates, host name and additions are added here, outside every template, so that no hash covers
    them.
    """
    more = additions or Additions()
    name = names.pod(instance.metadata.name, component.name, index, role_type)
    template = msgspec.json.decode(component.template)
    metadata = dict(template.get("metadata") or {})
    role_id = pod_role_id(instance, component.name, index)
    own = instance.metadata.labels
    identity: dict[str, str] = {
        # From the instance, whatever its template says: upstream gives all templates of a set those of one ordinal.
        **{key: own[key] for key in (labels.ROLE_INSTANCE_INDEX, labels.STATEFUL_POD_NAME) if key in own},
        labels.ROLE_INSTANCE_NAME: instance.metadata.name,
        labels.COMPONENT_NAME: component.name,
        labels.COMPONENT_ID: str(index),
        labels.CONTROLLER_REVISION_HASH: revision.hash,
        labels.ROLE_ID: role_id,
    }
    if role_type == labels.ROLE_TYPE_LEADER_WORKER_SET:
        identity[labels.COMPONENT_INDEX] = str(names.component_index(component.name, index))
    body: dict[str, Any] = {
        "apiVersion": Pod.KIND.api_version,
        "kind": Pod.KIND.kind,
        "metadata": {
            "name": name,
            "namespace": instance.key.namespace,
            "labels": {**(metadata.get("labels") or {}), **identity},
            "annotations": _annotations(metadata.get("annotations") or {}, more),
            "ownerReferences": [owner_reference(instance)],
        },
        "spec": _spec(dict(template.get("spec") or {}), name, component.service_name, role_id),
    }
    if more.variables:
        body["spec"] = _with_variables(body["spec"], more.variables)
    if more.to is not None and labels.GROUP_EXCLUSIVE_TOPOLOGY not in body["metadata"]["annotations"]:
        body["spec"] = with_affinity(body["spec"], more.to)
        if more.to.required and more.to.nodes:
            body["metadata"]["annotations"][labels.PINNED_NODES] = ",".join(more.to.nodes)
    finalizers = metadata.get("finalizers")
    if finalizers:
        body["metadata"]["finalizers"] = list(finalizers)
    return Create(
        kind=Pod,
        key=Key(instance.key.namespace, name),
        body=stamped(body, instance.metadata),
        owner_uid=instance.uid,
        why="pods are missing",
    )


def _spec(spec: dict[str, Any], name: str, service: str | None, role_id: str) -> dict[str, Any]:
    if service:
        spec["hostname"] = name
        spec["subdomain"] = service
    gates = [gate for gate in spec.get("readinessGates") or () if gate.get("conditionType") not in GATES]
    spec["readinessGates"] = [*gates, *({"conditionType": gate} for gate in GATES)]
    variable = {"name": labels.ENV_ROLE_ID, "value": role_id}
    spec["containers"] = [
        {**container, "env": merge_environment(container.get("env") or (), [variable])}
        for container in spec.get("containers") or ()
    ]
    return spec


def _annotations(template: Mapping[str, str], more: Additions) -> dict[str, str]:
    """Those of the template and the additions; what asks for variables has become variables."""
    kept = {key: value for key, value in template.items() if key != labels.COMPONENT_DISCOVERY}
    return {**kept, **more.annotations}


def _with_variables(spec: dict[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    batch = [{"name": name, "value": value} for name, value in variables.items()]
    lists = {
        field: [{**container, "env": merge_environment(container.get("env") or (), batch)} for container in spec[field]]
        for field in ("containers", "initContainers")
        if spec.get(field)
    }
    return {**spec, **lists}
