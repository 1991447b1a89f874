"""A role as a StatefulSet, whose rolling updates are driven by :mod:`.statefulsetrollout`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rbgctrl.api import conditions, labels, roles
from rbgctrl.api.core import Pod
from rbgctrl.api.names import instance_ordinal
from rbgctrl.api.workloads import StatefulSet
from rbgctrl.plan.model import Apply
from rbgctrl.plan.observed import asked_for
from rbgctrl.plan.workloads import common
from rbgctrl.plan.workloads.components import pod_template
from rbgctrl.plan.workloads.request import WorkloadRequest
from rbgctrl.plan.workloads.statefulsetrollout import MISSING, Live, Ordinal, step

__all__ = ["apply", "ordinals"]


def apply(request: WorkloadRequest, live: StatefulSet | None, pods: Sequence[Pod]) -> Apply | None:
    """The apply that makes the role's StatefulSet what it should be now, or None when it already is.

    Args:
        request: what is wanted.
        live: what there is.
        pods: those it controls.
    """
    chosen = live.spec.selector if live is not None else None
    template = common.selected(pod_template(request), chosen)
    found = None if live is None else _live(live, pods, changed=_changed(live, template))
    now = step(request.replicas, roles.rolling_update(request.role), found)
    body = {
        "apiVersion": StatefulSet.KIND.api_version,
        "kind": StatefulSet.KIND.kind,
        "metadata": common.metadata(request, template),
        "spec": {
            "replicas": now.replicas,
            # These two cannot be changed, so those of an existing one stay.
            "selector": common.selector(request, chosen),
            "serviceName": live.spec.service_name if live is not None else request.service,
            "podManagementPolicy": (live.spec.pod_management_policy if live is not None else "") or "Parallel",
            "minReadySeconds": request.role.min_ready_seconds,
            "template": template,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": now.partition}},
        },
    }
    return common.apply(request, body, live, StatefulSet)


def _live(live: StatefulSet, pods: Sequence[Pod], *, changed: bool) -> Live:
    return Live(
        replicas=1 if live.spec.replicas is None else live.spec.replicas,
        partition=live.spec.update_strategy.rolling_update.partition,
        size=asked_for(live),
        changed=changed,
        observed=live.status.observed_generation >= live.metadata.generation,
        ordinals=ordinals(live, pods),
    )


def _changed(live: StatefulSet, template: dict[str, Any]) -> bool:
    """Whether its pods would be replaced; a change of anything else about the role starts no rolling update."""
    applied = live.metadata.annotations.get(labels.TEMPLATE_HASH)
    if applied is None:  # the reference controller made it
        return not common.holds(live.spec, {"template": template})
    return applied != common.fingerprint(template)


def ordinals(live: StatefulSet, pods: Sequence[Pod]) -> tuple[Ordinal, ...]:
    """What is at each ordinal, as far up as there are pods."""
    newest = live.status.update_revision
    found = {}
    for pod in pods:
        ordinal = instance_ordinal(live.metadata.name, pod.metadata.name)
        if ordinal is not None and not pod.metadata.deleting:
            found[ordinal] = Ordinal(
                ready=pod.is_true(conditions.POD_READY),
                updated=pod.metadata.labels.get(labels.CONTROLLER_REVISION_HASH) == newest,
            )
    return tuple(found.get(ordinal, MISSING) for ordinal in range(max(found, default=-1) + 1))
