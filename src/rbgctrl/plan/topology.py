"""Where every pod of a group is to be found: the part of the discovery file that is ours.

What follows from names alone (ordinals, host names) is listed before it exists, so that peers can be waited for; what
only a running pod has (the address of a pod without a host name, the zone and NVLink domain of its node) follows when
it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from rbgctrl.api import labels, names, roles
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.instances import RoleInstance
from rbgctrl.api.patterns import SharedServiceSelection
from rbgctrl.graph.nodes import GroupNode, InstanceNode, RoleNode
from rbgctrl.graph.view import size_of
from rbgctrl.plan.patience import moments

__all__ = ["LIMIT", "movements", "topology"]

LIMIT: Final = 900_000
"""Characters of topology that still fit into a ConfigMap (1 MiB) beside the rest."""

_VERSION: Final = 1


def topology(node: GroupNode, replicas: Mapping[str, int], services: Mapping[str, str]) -> str:
    """The YAML text of the key ``topology``: a line for each instance, which is JSON, so that it is cheap to write.

    Args:
        node: the group, with pods.
        replicas: role name to instances wanted.
        services: role name to the name of its headless Service.
    """
    lines = ["topology:", f"  version: {_VERSION}"]
    if node.roles:
        lines.append("  roles:")
    for role in node.roles:
        lines += _role(node, role, replicas[role.name], services[role.name])
    text = "\n".join(lines) + "\n"
    if len(text) <= LIMIT:
        return text
    return f"topology:\n  version: {_VERSION}\n  omitted: too large for a ConfigMap\n"


def movements(node: GroupNode) -> Iterator[str | None]:
    """When instances and pods of the group last changed visibly."""
    for role in node.roles:
        pods = list(role.pods)
        for item in role.set.instances if role.set is not None else ():
            yield item.instance.metadata.creation_timestamp
            pods += [pod.pod for pod in item.pods]
        for pod in pods:
            yield from moments(pod.metadata, pod.status.conditions)


def _role(node: GroupNode, role: RoleNode, replicas: int, service: str) -> Iterator[str]:
    workload = roles.workload_type(role.spec)
    pattern = roles.pattern(role.spec)
    yield f"  - name: {role.name}"
    if pattern is not None:
        yield f"    pattern: {pattern.short}"
    yield f"    workload: {workload.rpartition('/')[2]}"
    if workload == labels.WORKLOAD_TYPE_LEADER_WORKER_SET:
        yield f"    service: {names.workload(node.group.key.name, role.name)}"  # its controller makes one
    elif workload != labels.WORKLOAD_TYPE_DEPLOYMENT:
        yield f"    service: {service}"
    ports = {port_key(port.name, port.port): port.port for port in role.spec.service_ports}
    if ports:
        yield f"    ports: {_json(ports)}"
    listed = [_json(item) for item in _LISTS.get(workload, _set_instances)(node, role, replicas, service)]
    yield "    instances:" if listed else "    instances: []"
    yield from (f"    - {item}" for item in listed)


def port_key(name: str | None, number: int) -> str:
    """The key of a port in the file: its name with ``-`` as ``_``, else ``port<number>``."""
    return name.lower().replace("-", "_") if name else f"port{number}"


def _json(value: Any) -> str:
    """JSON that YAML reads as the same; ``": "`` inside flow mappings is what older YAML needs."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


# RoleInstanceSets -----------------------------------------------------------------------------------------------------


def _set_instances(node: GroupNode, role: RoleNode, replicas: int, service: str) -> Iterator[dict[str, Any]]:
    present = role.set.instances if role.set is not None else ()
    if not roles.is_stateful(role.spec):
        yield from (_instance(node, role, item, service) for item in present)
        return
    known = {item.ordinal: item for item in present}
    for ordinal in range(replicas):
        yield _instance(node, role, known.get(ordinal), service, ordinal)


def _instance(
    node: GroupNode, role: RoleNode, found: InstanceNode | None, service: str, ordinal: int | None = None
) -> dict[str, Any]:
    """One instance; one that does not exist yet is told from the role's spec."""
    group = node.group.key.name
    if found is not None:
        name = found.instance.metadata.name
    else:
        name = names.instance(names.workload(group, role.name), ordinal or 0)
    slot = str(ordinal) if ordinal is not None else _id(found.instance if found is not None else None)
    entry: dict[str, Any] = {"name": name}
    entry |= {"index": ordinal} if ordinal is not None else {"id": slot}
    entry["roleId"] = names.instance_role_id(group, role.name, slot)
    running = {(pod.component, pod.index): pod.pod for pod in found.pods} if found is not None else {}
    allocated = found.instance.metadata.annotations if found is not None else {}
    entry["pods"] = [
        {
            "name": pod,
            "component": component,
            "index": index,
            "roleId": names.pod_role_id(group, role.name, slot, component, index),
            **_place(node.nodes, pod, subdomain, running.get((component, index))),
            **_allocated(allocated, pod),
        }
        for component, index, subdomain in _shape(role, found, service)
        for pod in (names.pod(name, component, index, roles.role_type(role.spec)),)
    ]
    return entry


def _allocated(annotations: Mapping[str, str], pod: str) -> dict[str, Any]:
    """Ports that were allocated for one pod, by name."""
    ports = {
        key.removeprefix(f"{pod}."): int(value)
        for key, value in sorted(annotations.items())
        if key.startswith(f"{pod}.") and value.isdecimal()
    }
    return {"ports": ports} if ports else {}


def _id(instance: RoleInstance | None) -> str:
    return instance.metadata.labels.get(labels.ROLE_INSTANCE_ID, "") if instance is not None else ""


def _shape(role: RoleNode, found: InstanceNode | None, service: str) -> Iterator[tuple[str, int, str]]:
    """Component, index and subdomain of every pod: of the instance as it is, else as the role wants it."""
    if found is not None and found.instance.spec is not None:
        for declared in found.instance.spec.components:
            for index in range(size_of(declared)):
                yield declared.name, index, declared.service_name
        return
    spec = role.spec
    if spec.leader_worker_pattern is not None and spec.standalone_pattern is None:
        everyone = roles.shared_service_selection(spec) is SharedServiceSelection.ALL
        yield labels.LEADER_COMPONENT, 0, service
        for index in range(max(spec.leader_worker_pattern.size - 1, 0)):
            yield labels.WORKER_COMPONENT, index, service if everyone else ""
    elif spec.custom_components_pattern is not None and spec.standalone_pattern is None:
        for part in spec.custom_components_pattern.components:
            for index in range(size_of(part)):
                yield part.name, index, part.service_name or service
    else:
        yield role.name, 0, service


def _place(nodes: Mapping[str, Node], name: str, subdomain: str, pod: Pod | None) -> dict[str, str]:
    """How a pod is reached, and where it runs as far as that is known."""
    place = {"address": f"{name}.{subdomain}"} if subdomain else {}
    if pod is None:
        return place
    if not subdomain and pod.status.pod_ip:
        place["address"] = pod.status.pod_ip
    node = nodes.get(pod.spec.node_name)
    found = node.metadata.labels if node is not None else {}
    for key, label in (("zone", labels.NODE_ZONE), ("domain", labels.NODE_NVLINK_DOMAIN)):
        if found.get(label):
            place[key] = found[label]
    return place


# Workloads of others --------------------------------------------------------------------------------------------------


def _ordinals(node: GroupNode, role: RoleNode, replicas: int, service: str) -> Iterator[dict[str, Any]]:
    """A StatefulSet's pods have names of their own, whether they exist yet or not."""
    workload = names.workload(node.group.key.name, role.name)
    running = {pod.metadata.name: pod for pod in role.pods}
    for ordinal in range(replicas):
        name = f"{workload}-{ordinal}"
        yield _alone(node, role, name, ordinal, _place(node.nodes, name, service, running.get(name)))


def _alone(node: GroupNode, role: RoleNode, name: str, ordinal: int, place: Mapping[str, str]) -> dict[str, Any]:
    group = node.group.key.name
    pod = {
        "name": name,
        "component": role.name,
        "index": 0,
        "roleId": names.pod_role_id(group, role.name, ordinal, role.name, 0),
        **place,
    }
    role_id = names.instance_role_id(group, role.name, ordinal)
    return {"name": name, "index": ordinal, "roleId": role_id, "pods": [pod]}


def _leaders(node: GroupNode, role: RoleNode, replicas: int, _service: str) -> Iterator[dict[str, Any]]:
    """A LeaderWorkerSet numbers its pods through and makes a Service of its own name for all of them."""
    group = node.group.key.name
    workload = names.workload(group, role.name)
    running = {pod.metadata.name: pod for pod in role.pods}
    size = role.spec.leader_worker_pattern.size if role.spec.leader_worker_pattern is not None else 1
    for ordinal in range(replicas):
        pods = []
        for place in range(max(size, 1)):
            component = labels.WORKER_COMPONENT if place else labels.LEADER_COMPONENT
            index = max(place - 1, 0)
            name = f"{workload}-{ordinal}" + (f"-{place}" if place else "")
            pods.append(
                {
                    "name": name,
                    "component": component,
                    "index": index,
                    "roleId": names.pod_role_id(group, role.name, ordinal, component, index),
                    **_place(node.nodes, name, workload, running.get(name)),
                }
            )
        role_id = names.instance_role_id(group, role.name, ordinal)
        yield {"name": f"{workload}-{ordinal}", "index": ordinal, "roleId": role_id, "pods": pods}


def _replaceable(node: GroupNode, role: RoleNode, _replicas: int, _service: str) -> Iterator[dict[str, Any]]:
    """A Deployment's pods have neither ordinals nor host names: those that have an address, by it."""
    for pod in _alive(role.pods):
        name = pod.metadata.name
        entry = {"name": name, "component": role.name, "index": 0, **_place(node.nodes, name, "", pod)}
        yield {"name": name, "pods": [entry]}


def _alive(pods: Iterable[Pod]) -> Iterator[Pod]:
    return (pod for pod in pods if pod.status.pod_ip and not pod.metadata.deleting)


_LISTS: Final[Mapping[str, Callable[[GroupNode, RoleNode, int, str], Iterator[dict[str, Any]]]]] = {
    labels.WORKLOAD_TYPE_STATEFUL_SET: _ordinals,
    labels.WORKLOAD_TYPE_LEADER_WORKER_SET: _leaders,
    labels.WORKLOAD_TYPE_DEPLOYMENT: _replaceable,
}
