"""A role as a Deployment: interchangeable pods, which Kubernetes itself rolls."""

from __future__ import annotations

from typing import Any

from rbgctrl.api import roles
from rbgctrl.api.workloads import Deployment
from rbgctrl.plan.model import Apply
from rbgctrl.plan.workloads import common
from rbgctrl.plan.workloads.components import pod_template
from rbgctrl.plan.workloads.request import WorkloadRequest

__all__ = ["apply"]


def apply(request: WorkloadRequest, live: Deployment | None) -> Apply | None:
    """The apply that makes the role's Deployment what it should be, or None when it already is."""
    chosen = live.spec.selector if live is not None else None
    template = common.selected(pod_template(request), chosen)
    spec: dict[str, Any] = {
        "replicas": request.replicas,
        "selector": common.selector(request, chosen),
        "template": template,
    }
    strategy = request.role.rollout_strategy
    if strategy is not None and strategy.rolling_update is not None:  # else the defaults of Deployments hold
        rollout = roles.rolling_update(request.role)
        limits = {"maxUnavailable": rollout.max_unavailable, "maxSurge": rollout.max_surge}
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": limits}
    body = {
        "apiVersion": Deployment.KIND.api_version,
        "kind": Deployment.KIND.kind,
        "metadata": common.metadata(request, template),
        "spec": spec,
    }
    return common.apply(request, body, live, Deployment)
