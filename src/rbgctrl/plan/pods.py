"""The pod an instance's component asks for."""

from __future__ import annotations

from typing import Any

import msgspec

from rbgctrl.api import conditions, labels, names
from rbgctrl.api.core import Pod
from rbgctrl.api.instances import InstanceComponent, RoleInstance
from rbgctrl.api.meta import Key
from rbgctrl.plan.identity import pod_role_id
from rbgctrl.plan.model import Create
from rbgctrl.plan.revision import Revision, owner_reference
from rbgctrl.plan.template import merge_environment

__all__ = ["GATES", "create_pod"]

GATES = (conditions.POD_INPLACE_UPDATE_READY, conditions.POD_INSTANCE_READY)
"""Readiness gates every pod of an instance carries: not being updated in place, and every sibling ready too."""


def create_pod(
    instance: RoleInstance, component: InstanceComponent, index: int, role_type: str, revision: Revision
) -> Create:
    """The create of pod ``index`` of a component at ``revision``.

    RoleID, readiness gates and host name are added here, outside every template, so that no hash covers them.
    """
    name = names.pod(instance.metadata.name, component.name, index, role_type)
    template = msgspec.json.decode(component.template)
    metadata = dict(template.get("metadata") or {})
    role_id = pod_role_id(instance, component.name, index)
    identity = {
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
            "annotations": dict(metadata.get("annotations") or {}),
            "ownerReferences": [
                owner_reference(
                    RoleInstance.KIND.api_version, RoleInstance.KIND.kind, instance.metadata.name, instance.uid
                )
            ],
        },
        "spec": _spec(dict(template.get("spec") or {}), name, component.service_name, role_id),
    }
    finalizers = metadata.get("finalizers")
    if finalizers:
        body["metadata"]["finalizers"] = list(finalizers)
    return Create(
        kind=Pod,
        key=Key(instance.key.namespace, name),
        body=body,
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
