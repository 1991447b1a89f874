"""Why a role cannot become what it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rbgctrl.api import labels, roles
from rbgctrl.api.templates import TemplateError
from rbgctrl.plan.workloads.components import leader_worker, pod_template
from rbgctrl.plan.workloads.request import WorkloadRequest
from rbgctrl.plan.workloads.sharedports import shared_ports

__all__ = ["fault"]

_BUILDERS: Final[Mapping[str, Callable[[WorkloadRequest], Any]]] = {
    labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET: shared_ports,  # of its components, which are built first
    labels.WORKLOAD_TYPE_DEPLOYMENT: pod_template,
    labels.WORKLOAD_TYPE_STATEFUL_SET: pod_template,
    labels.WORKLOAD_TYPE_LEADER_WORKER_SET: leader_worker,
}


def fault(request: WorkloadRequest) -> TemplateError | None:
    """Why the role's workload cannot be made, or None. What is built for this is remembered."""
    build = _BUILDERS.get(roles.workload_type(request.role))
    try:
        if build is not None:
            build(request)
    except TemplateError as error:
        return error
    return None
