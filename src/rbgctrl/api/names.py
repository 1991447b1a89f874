"""Every name the controllers give, and the identities that must survive a restart.

All names are functions of their parents' names, so a write whose outcome is unknown can be repeated. Nothing here
fails: what becomes too long is reported by ``validate.py`` before an object of that name is planned.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from rbgctrl.api import labels

__all__ = [
    "ALPHABET",
    "LABEL_VALUE_MAX",
    "NAME_MAX",
    "ROLE_NAME_MAX",
    "adapter",
    "component_index",
    "discovery_config_map",
    "group_in_set",
    "group_revision",
    "group_uid",
    "instance",
    "instance_address",
    "instance_id",
    "instance_ordinal",
    "instance_role_id",
    "instance_set",
    "is_dns_label",
    "is_label_value",
    "is_qualified_name",
    "leader_address",
    "pod",
    "pod_group",
    "pod_role_id",
    "policy",
    "revision",
    "safe_encode",
    "service",
    "short_hash",
    "stateless_instance",
    "warmup_attempt",
    "warmup_label",
    "warmup_node",
    "warmup_pod",
    "workload",
]

NAME_MAX: Final = 63
"""Longest DNS label: workloads, Services, pod host names."""
LABEL_VALUE_MAX: Final = 63
"""Longest label value."""
ROLE_NAME_MAX: Final = LABEL_VALUE_MAX - len(labels.ROLE_REVISION_PREFIX.split("/")[1])
"""Longest role name that still fits into the key of its revision label."""
ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' safe alphabet: no vowels and no look-alikes."""

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_SUBDOMAIN_MAX = 253
_STATELESS_PREFIX_MAX = 57
_INSTANCE_ID_LENGTH = 5
_DIGEST_LENGTH = 16
_WARMUP_DIGEST_LENGTH = 8
_WARMUP_POD = re.compile(rf".+-(0|[1-9][0-9]*)-[{ALPHABET}]{{{_WARMUP_DIGEST_LENGTH}}}")


# Workloads and what stands beside them --------------------------------------------------------------------------------


def _cut(name: str) -> str:
    return name if len(name) <= NAME_MAX else name[:NAME_MAX].rstrip("-")


def workload(group: str, role: str) -> str:
    """Name of a role's workload: ``<group>-<role>``, cut to 63 characters."""
    return _cut(f"{group}-{role}")


def service(group: str, role: str) -> str:
    """Name of a role's headless Service: ``s-<group>-<role>``, cut to 63 characters."""
    return _cut(f"s-{group}-{role}")


def discovery_config_map(group: str) -> str:
    """Name of the discovery ConfigMap: the group's."""
    return group


def pod_group(group: str) -> str:
    """Name of the gang-scheduling PodGroup: the group's."""
    return group


def policy(group: str) -> str:
    """Name of the CoordinatedPolicy that applies to a group: the group's."""
    return group


def adapter(group: str, role: str) -> str:
    """Name of a role's scaling adapter: ``<group>-<role>``, never cut."""
    return f"{group}-{role}"


def group_in_set(group_set: str, index: int) -> str:
    """Name of child ``index`` (from 0) of a RoleBasedGroupSet."""
    return f"{group_set}-{index}"


def group_uid(namespace: str, name: str) -> str:
    """Value of label ``labels.GROUP_UID``: SHA-1 of ``namespace/name``, 40 hex digits."""
    return hashlib.sha1(f"{namespace}/{name}".encode(), usedforsecurity=False).hexdigest()


# Instances and pods ---------------------------------------------------------------------------------------------------


def instance(instance_set: str, ordinal: int) -> str:
    """Name of the RoleInstance with that ordinal: ``<set>-<ordinal>``."""
    return f"{instance_set}-{ordinal}"


def instance_ordinal(instance_set: str, instance: str) -> int | None:
    """The ordinal in a stateful RoleInstance's name, or None when the name is not one of that set's."""
    prefix, dash, digits = instance.rpartition("-")
    if not dash or prefix != instance_set or not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits) if digits == "0" or digits[0] != "0" else None


def instance_set(instance: str) -> str | None:
    """Name of the stateful set that a RoleInstance of this name is one of, or None when its name has no ordinal."""
    stem = instance.rpartition("-")[0]
    return stem if stem and instance_ordinal(stem, instance) is not None else None


def stateless_instance(instance_set: str, instance_id: str) -> str:
    """Name of the stateless RoleInstance with that id: ``<set cut to 57>-<id>``."""
    return f"{instance_set[:_STATELESS_PREFIX_MAX]}-{instance_id}"


def instance_id(*seed: str) -> str:
    """A five-character id in the safe alphabet, the same for the same seed.

    Args:
        seed: what makes the instance unique, e.g. the set's UID and a counter.
    """
    digest = hashlib.sha256("\0".join(seed).encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:_INSTANCE_ID_LENGTH])


def component_index(component: str, index: int) -> int:
    """Place of a leader-worker pod in its instance: the leader is 0, worker ``i`` of its component is ``i + 1``."""
    return 0 if component == labels.LEADER_COMPONENT else index + 1


def pod(instance: str, component: str, index: int, role_type: str) -> str:
    """Name of a pod.

    Args:
        instance: name of the RoleInstance.
        component: name of the component.
        index: place inside the component, from 0.
        role_type: value of the instance's label ``labels.ROLE_TYPE``; unknown or empty reads as Components.
    """
    if role_type == labels.ROLE_TYPE_POD_TEMPLATE:
        return instance
    if role_type == labels.ROLE_TYPE_LEADER_WORKER_SET:
        return f"{instance}-{component_index(component, index)}"
    return f"{instance}-{component}-{index}"


def warmup_pod(warmup: str, node: str, attempt: int) -> str:
    """Name of the pod of an attempt (from 0) to warm up a node: ``<warmup>-<node>-<attempt>-<digest>``, always a label.

    The digest keeps apart what reads alike; warmup and node are cut when the whole would be too long.
    """
    seed = hashlib.sha256("\0".join((warmup, node)).encode()).digest()
    digest = "".join(ALPHABET[byte % len(ALPHABET)] for byte in seed[:_WARMUP_DIGEST_LENGTH])
    ending = f"-{attempt}-{digest}"
    stem = re.sub(r"[^a-z0-9]+", "-", f"{warmup}-{node}").strip("-")
    return stem[: NAME_MAX - len(ending)].rstrip("-") + ending


def warmup_attempt(pod: str) -> int | None:
    """The attempt in a name made by :func:`warmup_pod`, None for other names."""
    found = _WARMUP_POD.fullmatch(pod)
    return int(found[1]) if found is not None else None


def warmup_node(node: str) -> str:
    """Value of label ``labels.WARMUP_NODE``: the node's name, or a start of it and a digest when it is too long."""
    return _as_label(node)


def warmup_label(warmup: str) -> str:
    """Value of label ``labels.WARMUP_NAME``, likewise."""
    return _as_label(warmup)


def _as_label(name: str) -> str:
    return name if is_label_value(name) else _identity((name,))


def leader_address(service: str, namespace: str) -> str:
    """Value of ``RBG_LWP_LEADER_ADDRESS``; the kubelet expands the reference to the instance's name."""
    return f"$({labels.ENV_ROLE_INSTANCE_NAME})-0.{service}.{namespace}"


def instance_address(workload: str, ordinal: int, service: str) -> str:
    """Address of one instance as the discovery file lists it: ``<workload>-<ordinal>.<service>``."""
    return f"{workload}-{ordinal}.{service}"


# Revisions ------------------------------------------------------------------------------------------------------------


def safe_encode(text: str) -> str:
    """Kubernetes' ``SafeEncodeString``: each character mapped into the safe alphabet."""
    return "".join(ALPHABET[ord(char) % len(ALPHABET)] for char in text)


def group_revision(group: str, digest: str, revision: int) -> str:
    """Name of a group's ControllerRevision: ``<group cut to 220>-<hash>-<revision>``."""
    return f"{group[:220]}-{digest}-{revision}"


def revision(parent: str, digest: str) -> str:
    """Name of a RoleInstanceSet's or RoleInstance's ControllerRevision: ``<parent cut to 223>-<hash>``."""
    return f"{parent[:223]}-{digest}"


def short_hash(revision: str) -> str:
    """The hash in a revision's name: the text after the last ``-``."""
    return revision.rpartition("-")[2]


# Identity -------------------------------------------------------------------------------------------------------------


def instance_role_id(group: str, role: str, slot: int | str) -> str:
    """RoleID of an instance: ``<group>.<role>.<slot>``, unique within its namespace and always a label value.

    Args:
        group: name of the group.
        role: name of the role.
        slot: ordinal of a stateful instance, id of a stateless one.
    """
    return _identity((group, role, str(slot)))


def pod_role_id(group: str, role: str, slot: int | str, component: str, index: int) -> str:
    """RoleID of a pod: its instance's with ``.<component>.<index>`` appended; a function of no revision or node."""
    return _identity((group, role, str(slot), component, str(index)))


def _identity(parts: tuple[str, ...]) -> str:
    """Join the parts readably, or shorten them with a digest.

    A plain identity has as many dots as parts less one; a shortened one has exactly one dot. So the two never meet,
    and parts that hold a dot or other foreign characters are shortened too, to stay unambiguous.
    """
    plain = ".".join(parts)
    if len(plain) <= LABEL_VALUE_MAX and is_label_value(plain) and plain.count(".") == len(parts) - 1:
        return plain
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGEST_LENGTH]
    readable = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[: LABEL_VALUE_MAX - _DIGEST_LENGTH - 1].rstrip("-")
    return f"{readable or 'x'}.{digest}"


# Checks ---------------------------------------------------------------------------------------------------------------


def is_dns_label(text: str) -> bool:
    """Whether ``text`` is an RFC 1123 label: at most 63 of ``a-z0-9-``, not starting or ending with ``-``."""
    return len(text) <= NAME_MAX and _DNS_LABEL.fullmatch(text) is not None


def is_label_value(text: str) -> bool:
    """Whether ``text`` may be the value of a label."""
    return len(text) <= LABEL_VALUE_MAX and _LABEL_VALUE.fullmatch(text) is not None


def is_qualified_name(text: str) -> bool:
    """Whether ``text`` may be the key of a label or, in lower case, of an annotation: a name, or ``domain/name``."""
    domain, slash, name = text.rpartition("/")
    if slash and not (len(domain) <= _SUBDOMAIN_MAX and all(map(is_dns_label, domain.split(".")))):
        return False
    return bool(name) and is_label_value(name)
