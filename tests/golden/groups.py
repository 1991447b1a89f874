"""RoleBasedGroup specs that must be accepted or refused, by the models and by every API server alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["VECTORS", "Vector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One spec.

    Attributes:
        name: what it shows.
        spec: the spec, or None to leave it out.
        refused: ``""`` when it must be accepted, else words the refusal contains.
        strict: words of the refusal when unknown fields are refused too.
        stored: dotted paths into the first role with the value that must be read back.
    """

    name: str
    spec: Any
    refused: str = ""
    strict: str = ""
    stored: dict[str, Any] | None = None


_POD = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
_EXCLUSIVE = "mutually exclusive"


def _role(**fields: Any) -> dict[str, Any]:
    return {"roles": [{"name": "a", **fields}]}


def _lwp(**fields: Any) -> dict[str, Any]:
    return _role(leaderWorkerPattern={"size": 2, "template": _POD, **fields})


def _rollout(**fields: Any) -> dict[str, Any]:
    return _role(rolloutStrategy={"type": "RollingUpdate", "rollingUpdate": fields})


_TYPE = "rbg.workloads.x-k8s.io/role-workload-type"
_REF = {"name": "base", "patch": {}}

VECTORS = (
    Vector(
        name="a role with only a name",
        spec=_role(),
        stored={"replicas": 1, "podManagementPolicy": "Parallel", "minReadySeconds": 0},
    ),
    Vector(name="no spec", spec=None),
    Vector(name="no roles", spec={}, refused="roles"),
    Vector(name="an empty list of roles", spec={"roles": []}, refused="roles"),
    Vector(name="a role without a name", spec={"roles": [{"replicas": 1}]}, refused="name"),
    Vector(name="an empty role name", spec={"roles": [{"name": ""}]}, refused="name"),
    Vector(name="two roles of one name", spec={"roles": [{"name": "a"}, {"name": "a"}]}, refused="uplicate"),
    Vector(name="no replicas wanted", spec=_role(replicas=0), stored={"replicas": 0}),
    Vector(name="null replicas", spec=_role(replicas=None), stored={"replicas": 1}),
    Vector(name="negative replicas", spec=_role(replicas=-1), refused="replicas"),
    Vector(name="replicas as text", spec=_role(replicas="2"), refused="replicas"),
    Vector(name="fractional replicas", spec=_role(replicas=1.5), refused="replicas"),
    Vector(name="replicas beyond int32", spec=_role(replicas=2**31), refused="replicas"),
    Vector(name="a label that is a number", spec=_role(labels={"a": 1}), refused="labels"),
    Vector(
        name="standalone and leader-worker",
        spec=_role(standalonePattern={"template": _POD}, leaderWorkerPattern={"template": _POD}),
        refused=_EXCLUSIVE,
    ),
    Vector(
        name="standalone and custom components",
        spec=_role(standalonePattern={"template": _POD}, customComponentsPattern={}),
    ),
    Vector(
        name="leader-worker and custom components",
        spec=_role(leaderWorkerPattern={"template": _POD}, customComponentsPattern={"components": []}),
        stored={"leaderWorkerPattern.size": 1},
    ),
    Vector(
        name="template and templateRef",
        spec=_role(standalonePattern={"template": _POD, "templateRef": _REF}),
        refused=_EXCLUSIVE,
    ),
    Vector(name="template and templateRef of a leader-worker role", spec=_lwp(templateRef=_REF), refused=_EXCLUSIVE),
    Vector(name="a templateRef without patch", spec=_role(standalonePattern={"templateRef": {"name": "base"}})),
    Vector(
        name="an empty patch stays a patch",
        spec=_role(standalonePattern={"templateRef": _REF}),
        stored={"standalonePattern.templateRef.patch": {}},
    ),
    Vector(
        name="a null inside a patch is kept",
        spec=_lwp(leaderTemplatePatch={"spec": {"hostNetwork": None}}),
        stored={"leaderWorkerPattern.leaderTemplatePatch": {"spec": {"hostNetwork": None}}},
    ),
    Vector(
        name="a templateRef that is no DNS label",
        spec=_role(standalonePattern={"templateRef": {"name": "Foo_Bar", "patch": {}}}),
        refused="templateRef.name",
    ),
    Vector(
        name="a template without containers",
        spec=_role(standalonePattern={"template": {"spec": {"restartPolicy": "Always"}}}),
        refused="containers",
    ),
    Vector(
        name="a container without a name",
        spec=_role(standalonePattern={"template": {"spec": {"containers": [{"image": "i"}]}}}),
        refused="name",
    ),
    Vector(
        name="a component without containers",
        spec=_role(customComponentsPattern={"components": [{"name": "x", "template": {"spec": {}}}]}),
    ),
    Vector(
        name="a component without a template",
        spec=_role(customComponentsPattern={"components": [{"name": "x", "size": 1}]}),
        refused="template",
    ),
    Vector(
        name="an unknown key in a role is kept",
        spec=_role(workload={"kind": "StatefulSet"}),
        stored={"workload": {"kind": "StatefulSet"}},
    ),
    Vector(name="an unknown key in spec", spec={**_role(), "surplus": 1}, strict="surplus"),
    Vector(name="an unknown key in rolloutStrategy", spec=_role(rolloutStrategy={"surplus": 1}), strict="surplus"),
    Vector(
        name="leaders only, in a StatefulSet",
        spec=_role(
            annotations={_TYPE: "apps/v1/StatefulSet"},
            leaderWorkerPattern={"sharedServiceSelection": "LeaderOnly", "template": _POD},
        ),
        refused="sharedServiceSelection=LeaderOnly is only supported",
    ),
    Vector(
        name="everyone, in a StatefulSet",
        spec=_role(
            annotations={_TYPE: "apps/v1/StatefulSet"},
            leaderWorkerPattern={"sharedServiceSelection": "All", "template": _POD},
        ),
    ),
    Vector(name="leaders only, by default workload", spec=_lwp(sharedServiceSelection="LeaderOnly")),
    Vector(name="an unknown selection", spec=_lwp(sharedServiceSelection="Some"), refused="sharedServiceSelection"),
    Vector(
        name="a restart policy that never was",
        spec=_lwp(restartPolicy="RecreateEverything"),
        refused="restartPolicy",
    ),
    Vector(name="a restart policy as an object", spec=_lwp(restartPolicy={"type": "None"}), refused="restartPolicy"),
    Vector(
        name="a base delay over the default of the longest",
        spec=_lwp(restartPolicyConfig={"baseDelaySeconds": 700}),
        refused="maxDelaySeconds must be greater than or equal to baseDelaySeconds",
    ),
    Vector(
        name="a longest delay under the default of the base",
        spec=_lwp(restartPolicyConfig={"maxDelaySeconds": 10}),
        refused="maxDelaySeconds must be greater than or equal to baseDelaySeconds",
    ),
    Vector(
        name="no delay",
        spec=_lwp(restartPolicyConfig={"baseDelaySeconds": 0, "maxDelaySeconds": 0}),
        stored={"leaderWorkerPattern.restartPolicyConfig": {"baseDelaySeconds": 0, "maxDelaySeconds": 0}},
    ),
    Vector(
        name="an empty restart policy gets its delays",
        spec=_lwp(restartPolicyConfig={}),
        stored={"leaderWorkerPattern.restartPolicyConfig": {"baseDelaySeconds": 30, "maxDelaySeconds": 600}},
    ),
    Vector(
        name="an empty rollout strategy",
        spec=_role(rolloutStrategy={}),
        stored={"rolloutStrategy": {"type": "RollingUpdate"}},
    ),
    Vector(name="another rollout strategy", spec=_role(rolloutStrategy={"type": "Recreate"}), refused="type"),
    Vector(
        name="limits get their defaults",
        spec=_rollout(),
        stored={"rolloutStrategy.rollingUpdate": {"partition": 0, "maxUnavailable": 1, "maxSurge": 0}},
    ),
    Vector(
        name="limits as numbers and percentages",
        spec=_rollout(maxUnavailable="25%", maxSurge=2, type="Anything", paused=True),
        stored={"rolloutStrategy.rollingUpdate.maxUnavailable": "25%", "rolloutStrategy.rollingUpdate.maxSurge": 2},
    ),
    Vector(name="any text as a limit", spec=_rollout(maxSurge="abc")),
    Vector(name="a limit that is a truth value", spec=_rollout(maxSurge=True), refused="maxSurge"),
    Vector(name="a fractional limit", spec=_rollout(partition=0.5), refused="partition"),
    Vector(name="an unknown creation order", spec=_role(podManagementPolicy="Serial"), refused="podManagementPolicy"),
    Vector(
        name="a port gets its protocol",
        spec=_role(servicePorts=[{"port": 80, "targetPort": "http"}]),
        stored={"servicePorts": [{"port": 80, "protocol": "TCP", "targetPort": "http"}]},
    ),
    Vector(name="a port without a number", spec=_role(servicePorts=[{"name": "http"}]), refused="port"),
    Vector(name="an adapter as text", spec=_role(scalingAdapter={"enable": "yes"}), refused="enable"),
    Vector(
        name="an adapter is off by default",
        spec=_role(scalingAdapter={}),
        stored={"scalingAdapter": {"enable": False}},
    ),
    Vector(
        name="two templates of one name",
        spec={**_role(), "roleTemplates": [{"name": "t", "template": _POD}, {"name": "t", "template": _POD}]},
        refused="uplicate",
    ),
    Vector(
        name="a template name that is too long",
        spec={**_role(), "roleTemplates": [{"name": "t" * 64, "template": _POD}]},
        refused="name",
    ),
    Vector(
        name="components may share a name",
        spec=_role(customComponentsPattern={"components": [{"name": "x", "template": _POD}] * 2}),
    ),
)
