"""Where the pods of a role ran: annotations of the RoleInstanceSet, one for each pod.

Example: ``node.rbgctrl.io/llm-decode-2: 2/decode/gpu-7``, which is instance 2, component ``decode``, node ``gpu-7``.
One key for each pod, so that instances that write at the same time do not meet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rbgctrl.api import labels
from rbgctrl.api.instances import RoleInstance

__all__ = ["Binding", "binding_key", "bindings", "slot_of"]

_NAME_MAX: Final = 63
_DIGEST_LENGTH: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One pod and its node.

    Attributes:
        key: of the annotation.
        slot: ordinal or id of the instance; the name of one that belongs to no set.
        component: of the pod.
        node: where it ran last.
    """

    key: str
    slot: str
    component: str
    node: str

    @property
    def value(self) -> str:
        """Value of the annotation."""
        return f"{self.slot}/{self.component}/{self.node}"


def binding_key(pod: str) -> str:
    """The annotation for a pod; a long name ends in a digest."""
    if len(pod) > _NAME_MAX:
        digest = hashlib.sha256(pod.encode()).hexdigest()[:_DIGEST_LENGTH]
        pod = f"{pod[: _NAME_MAX - _DIGEST_LENGTH - 1]}.{digest}"
    return labels.PREFIX_NODE + pod


def bindings(annotations: Mapping[str, str]) -> tuple[Binding, ...]:
    """Every binding that the annotations tell of, by key; what cannot be read is left out."""
    found = []
    for key in sorted(annotations):
        if key.startswith(labels.PREFIX_NODE):
            parts = annotations[key].split("/")
            if len(parts) == 3 and all(parts):
                found.append(Binding(key=key, slot=parts[0], component=parts[1], node=parts[2]))
    return tuple(found)


def slot_of(instance: RoleInstance) -> str:
    """Which of the instances of its set it is: its ordinal, else its id, else its name."""
    own = instance.metadata.labels
    return own.get(labels.ROLE_INSTANCE_INDEX) or own.get(labels.ROLE_INSTANCE_ID) or instance.metadata.name
