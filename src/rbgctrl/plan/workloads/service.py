"""The headless Service of a role: what gives its pods names that resolve."""

from __future__ import annotations

from typing import Any

from rbgctrl.api import labels, roles
from rbgctrl.api.core import Service
from rbgctrl.api.meta import Key
from rbgctrl.api.patterns import SharedServiceSelection
from rbgctrl.api.workloads import Workload
from rbgctrl.plan.compare import contains
from rbgctrl.plan.model import Apply
from rbgctrl.plan.revision import owner_reference
from rbgctrl.plan.workloads.request import WorkloadRequest

__all__ = ["apply_service"]

_MANAGED = (labels.ROLE_SIZE, labels.ROLE_WORKLOAD_TYPE)


def apply_service(request: WorkloadRequest, workload: Workload, live: Service | None) -> Apply | None:
    """The apply that makes the role's headless Service what it should be, or None when it already is.

    Args:
        request: the role.
        workload: its workload, which owns the Service.
        live: the Service as it is.
    """
    role = request.role
    annotations = {key: value for key, value in role.annotations.items() if key not in _MANAGED}
    # What the role no longer asks for would look like somebody else's; so it is written down what it asked for.
    told = ",".join(sorted(annotations))
    if told:
        annotations[labels.ROLE_ANNOTATIONS] = told
    annotations[labels.ROLE_SIZE] = str(request.replicas)
    key = Key(request.key.namespace, request.service)
    owner = owner_reference(workload, controller=False)
    selector = {labels.GROUP_NAME: request.group.key.name, labels.ROLE_NAME: role.name}
    if roles.shared_service_selection(role) is SharedServiceSelection.LEADER_ONLY:
        selector[labels.COMPONENT_NAME] = labels.LEADER_COMPONENT
    body: dict[str, Any] = {
        "apiVersion": Service.KIND.api_version,
        "kind": Service.KIND.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": request.common,
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector, "type": "ClusterIP"},
    }
    if live is not None:
        meta = live.metadata
        same = (
            live.spec.selector == selector
            and live.spec.publish_not_ready_addresses
            and contains(request.common, meta.labels)
            and annotations.items() <= meta.annotations.items()
            and meta.annotations.get(labels.ROLE_ANNOTATIONS, "") == told
            and any(reference.uid == workload.uid for reference in meta.owner_references)
        )
        if same or meta.deleting:
            return None
    why = "the role has no Service yet" if live is None else "the Service differs from the role"
    # Only what carries annotations of its role can lose some, and the first time that is seen is before ours are there.
    first = bool(told) and live is not None and labels.ROLE_ANNOTATIONS not in live.metadata.annotations
    uid = live.uid if live else ""
    return Apply(kind=Service, key=key, body=body, uid=uid, adopt=True, inherit=first, why=why)
