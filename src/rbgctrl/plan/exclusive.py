"""What makes pods of one group stay together, and pods of other groups away, on a part of the cluster: affinity.

All pods of an exclusive group carry the label that its terms select. A pod that opted out carries neither: with the
label, it would draw the others to wherever it happens to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rbgctrl.api import labels
from rbgctrl.plan.template import add_metadata

__all__ = ["exclude"]

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def exclude(template: Mapping[str, Any], topology: str, digest: str) -> dict[str, Any]:
    """A pod template that shares a domain with its own group, and with no other exclusive one.

    A template that opts out, or has required affinity and anti-affinity for the key already, stays as it is.

    Args:
        template: as :func:`rbgctrl.plan.template.checked` lets it through.
        topology: node label key whose values are the domains; ``""`` asks for nothing.
        digest: tells the group from all others; value of ``labels.GROUP_UID``.
    """
    metadata, spec = template.get("metadata") or {}, dict(template.get("spec") or {})
    affinity = dict(spec.get("affinity") or {})
    opted_out = (metadata.get("annotations") or {}).get(labels.ROLE_DISABLE_EXCLUSIVE)
    if not topology or opted_out or all(_has(affinity, kind, topology) for kind in ("podAffinity", "podAntiAffinity")):
        return dict(template)
    ours = {"key": labels.GROUP_UNIQUE_HASH, "operator": "In", "values": [digest]}
    somebody = {"key": labels.GROUP_UNIQUE_HASH, "operator": "Exists"}
    others = {"key": labels.GROUP_UNIQUE_HASH, "operator": "NotIn", "values": [digest]}
    for kind, expressions in (("podAffinity", [ours]), ("podAntiAffinity", [somebody, others])):
        found = dict(affinity.get(kind) or {})
        term = {"labelSelector": {"matchExpressions": expressions}, "topologyKey": topology}
        found[_REQUIRED] = [*(found.get(_REQUIRED) or ()), term]
        affinity[kind] = found
    spec["affinity"] = affinity
    return add_metadata(
        {**template, "spec": spec},
        over_labels={labels.GROUP_UNIQUE_HASH: digest},
        over_annotations={labels.GROUP_EXCLUSIVE_TOPOLOGY: topology},
    )


def _has(affinity: Mapping[str, Any], kind: str, topology: str) -> bool:
    terms = (affinity.get(kind) or {}).get(_REQUIRED) or ()
    return any(term.get("topologyKey") == topology for term in terms)
