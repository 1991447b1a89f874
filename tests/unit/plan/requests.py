"""Workload requests made of manifests, for tests of what a role becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from rbgctrl.api import labels, names
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Resource
from rbgctrl.api.podgroups import GangScheduler
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.client.decode import Invalid, decoder
from rbgctrl.plan.rendering import Rendering, rendering
from rbgctrl.plan.workloads import WorkloadRequest

R = TypeVar("R", bound=Resource)


def decoded(kind: type[R], body: Mapping[str, Any]) -> R:
    """The object as a cache would hold it."""
    found = decoder(kind).one(msgspec.json.encode(body))
    assert not isinstance(found, Invalid), found
    return found


def request(
    role: Mapping[str, Any],
    *,
    templates: Mapping[str, Mapping[str, Any]] | None = None,
    annotations: Mapping[str, str] | None = None,
    profiles: Mapping[str, ClusterEngineRuntimeProfile] | None = None,
    pinned: str = "",
    scheduler: GangScheduler = GangScheduler.SCHEDULER_PLUGINS,
    rendered: Rendering | None = None,
) -> WorkloadRequest:
    """The request for the only role of group ``llm`` in namespace ``ml``."""
    metadata = {"name": "llm", "namespace": "ml", "uid": "uid-llm", "annotations": dict(annotations or {})}
    spec: dict[str, Any] = {"roles": [{"replicas": 1, **role}]}
    if templates:
        spec["roleTemplates"] = [{"name": name, "template": template} for name, template in templates.items()]
    group = decoded(RoleBasedGroup, {"metadata": metadata, "spec": spec})
    assert group.spec is not None
    (found,) = group.spec.roles
    return WorkloadRequest(
        group=group,
        role=found,
        replicas=found.replicas,
        rendered=rendered or rendering(group),
        service=names.service("llm", found.name),
        profiles=profiles or {},
        scheduler=scheduler,
        held={labels.RUNTIME_PROFILES: pinned} if pinned else {},
    )


def profile(name: str, *, strategy: str = "NoUpdate", generation: int = 1, **spec: Any) -> ClusterEngineRuntimeProfile:
    """An engine runtime profile."""
    metadata = {"name": name, "uid": f"uid-{name}", "generation": generation, "resourceVersion": str(generation)}
    body = {"metadata": metadata, "spec": {"updateStrategy": strategy, **spec}}
    return decoded(ClusterEngineRuntimeProfile, body)


def template(*containers: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod template; without arguments of one container."""
    return {"spec": {"containers": list(containers) or [{"name": "main", "image": "engine:1"}], **spec}}


def container_names(template: Mapping[str, Any], field: str = "containers") -> list[str]:
    """Names of the containers of a template."""
    return [container["name"] for container in template["spec"].get(field, ())]


def variables(template: Mapping[str, Any], container: int = 0) -> list[str]:
    """Names of the variables of one container, in order."""
    return [variable["name"] for variable in template["spec"]["containers"][container]["env"]]
