"""The pod templates of a role: one row per pattern for RoleInstanceSets, and what other workloads take of them.

Templates come out as Go's typed structs would send them, because the hashes of revisions are made of these bytes.
All of this is remembered with the group's spec; what is returned is shared, so never change it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from rbgctrl.api import labels, names, roles
from rbgctrl.api.canonical import go_pod_template
from rbgctrl.api.groups import GroupComponent
from rbgctrl.api.patterns import SharedServiceSelection
from rbgctrl.api.podgroups import GangScheduler
from rbgctrl.api.roles import Pattern
from rbgctrl.api.templates import TemplateError, base_template, checked, leader_and_worker
from rbgctrl.graph.view import size_of
from rbgctrl.plan.exclusive import exclude
from rbgctrl.plan.runtimes import inject_runtimes
from rbgctrl.plan.template import (
    add_environment,
    add_metadata,
    environment,
    leader_worker_environment,
    mount_discovery,
)
from rbgctrl.plan.workloads.request import WorkloadRequest

__all__ = ["components", "leader_worker", "pod_template"]

T = TypeVar("T")


def components(request: WorkloadRequest) -> list[dict[str, Any]]:
    """The components of a RoleInstanceSet.

    Raises:
        TemplateError: the role does not say what they are.
    """
    pattern = roles.pattern(request.role)
    if pattern is None:
        raise TemplateError("the role declares no pattern; add standalonePattern with a template")
    return _once(request, "components", lambda: _COMPONENTS[pattern](request))


def pod_template(request: WorkloadRequest) -> dict[str, Any]:
    """The template of a Deployment or StatefulSet.

    Raises:
        TemplateError: the role does not say what it is.
    """
    return _once(request, "template", lambda: _single(request))


def leader_worker(request: WorkloadRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """The leader's and the worker's template of a LeaderWorkerSet.

    Raises:
        TemplateError: the role does not say what they are.
    """
    return _once(request, "leader-worker", lambda: _pair(request))


def _once(request: WorkloadRequest, what: str, make: Callable[[], T]) -> T:
    return request.rendered.once((what, request.role.name), make, of=request.version)


# RoleInstanceSet ------------------------------------------------------------------------------------------------------


def _standalone(request: WorkloadRequest) -> list[dict[str, Any]]:
    pattern = request.role.standalone_pattern
    assert pattern is not None  # noqa: S101 - the row of this pattern
    template = _pod(request, base_template(_role_templates(request), pattern), {labels.COMPONENT_SIZE: "1"})
    return [{"name": request.role.name, "size": 1, "serviceName": request.service, "template": template}]


def _leader_worker(request: WorkloadRequest) -> list[dict[str, Any]]:
    """A leader, and workers that only have host names when the Service selects them, too."""
    pattern = request.role.leader_worker_pattern
    assert pattern is not None  # noqa: S101 - the row of this pattern
    leader, worker = leader_and_worker(_role_templates(request), pattern)
    address = leader_worker_environment(request.service, request.group.key.namespace)

    def template(name: str, source: Mapping[str, Any], *, sidecars: bool) -> dict[str, Any]:
        own = {labels.COMPONENT_SIZE: str(pattern.size), labels.COMPONENT_NAME: name}
        return _pod(request, source, own, address, sidecars=sidecars)

    everywhere = roles.shared_service_selection(request.role) is SharedServiceSelection.ALL
    service = {"serviceName": request.service}
    return [
        {
            "name": labels.LEADER_COMPONENT,
            "size": 1,
            **service,
            "template": template(labels.LEADER_COMPONENT, leader, sidecars=True),
        },
        {
            "name": labels.WORKER_COMPONENT,
            "size": max(pattern.size - 1, 0),
            **(service if everywhere else {}),
            "template": template(labels.WORKER_COMPONENT, worker, sidecars=False),
        },
    ]


def _custom(request: WorkloadRequest) -> list[dict[str, Any]]:
    pattern = request.role.custom_components_pattern
    assert pattern is not None  # noqa: S101 - the row of this pattern
    if not pattern.components:
        raise TemplateError("customComponentsPattern has no components; add one")
    return [_component(request, component) for component in pattern.components]


def _component(request: WorkloadRequest, component: GroupComponent) -> dict[str, Any]:
    size = size_of(component)
    template = add_metadata(
        checked(component.template, f"component {component.name}"),
        over_labels=component.labels,
        over_annotations=component.annotations,
    )
    return {
        "name": component.name,
        "size": size,
        "serviceName": component.service_name or request.service,
        **({"labels": component.labels} if component.labels else {}),
        **({"annotations": component.annotations} if component.annotations else {}),
        "template": _pod(request, template, {labels.COMPONENT_SIZE: str(size)}),
    }


_Row: TypeAlias = Callable[[WorkloadRequest], list[dict[str, Any]]]
_COMPONENTS: Final[Mapping[Pattern, _Row]] = {
    Pattern.STANDALONE: _standalone,
    Pattern.LEADER_WORKER: _leader_worker,
    Pattern.CUSTOM: _custom,
}


# Other workloads ------------------------------------------------------------------------------------------------------


def _single(request: WorkloadRequest) -> dict[str, Any]:
    source = request.role.standalone_pattern or request.role.leader_worker_pattern
    if source is None:
        kind = roles.workload_type(request.role).rpartition("/")[2]
        raise TemplateError(f"a {kind} has one kind of pod; set standalonePattern")
    return _pod(request, base_template(_role_templates(request), source), {})


def _pair(request: WorkloadRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    pattern = request.role.leader_worker_pattern
    if pattern is None:
        raise TemplateError("a LeaderWorkerSet has a leader and workers; set leaderWorkerPattern")
    if pattern.template is None:
        raise TemplateError("leaderWorkerPattern of a LeaderWorkerSet has no template; write it inline")
    leader, worker = leader_and_worker(_role_templates(request), pattern)
    return _pod(request, leader, {}), _pod(request, worker, {}, sidecars=False)


# One pod --------------------------------------------------------------------------------------------------------------


def _role_templates(request: WorkloadRequest) -> dict[str, dict[str, Any]]:
    return {item.name: item.template for item in request.rendered.spec.role_templates}


def _pod(
    request: WorkloadRequest,
    template: Mapping[str, Any],
    own_labels: Mapping[str, str],
    more_environment: Sequence[Mapping[str, Any]] = (),
    *,
    sidecars: bool = True,
) -> dict[str, Any]:
    """A checked template with everything the controller adds, in the order that decides who mounts and sees what."""
    group, role = request.group.key.name, request.role
    stateful = roles.is_stateful(role)
    instances = roles.workload_type(role) == labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET
    built = dict(template)
    if stateful:
        built = mount_discovery(built, names.discovery_config_map(group))
    if sidecars:
        built = inject_runtimes(built, request.runtimes)
    variables = environment(group, role.name, stateful=stateful, instances=instances)
    built = add_environment(built, variables, more_environment)
    built = exclude(built, request.topology, names.group_uid(request.group.key.namespace, group))
    if request.gang:
        built = _in_gang(built, request)
    return go_pod_template(add_metadata(built, over_labels={**request.common, **own_labels}))


def _in_gang(template: Mapping[str, Any], request: WorkloadRequest) -> dict[str, Any]:
    name = names.pod_group(request.group.key.name)
    if request.scheduler is GangScheduler.VOLCANO:
        return add_metadata(template, over_annotations={labels.GANG_VOLCANO_GROUP: name})
    return add_metadata(template, over_labels={labels.GANG_POD_GROUP: name})
