"""The file through which a pod finds its peers, and whether this group's file is ours to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from rbgctrl.api import labels, names, roles
from rbgctrl.api.core import ConfigMap
from rbgctrl.api.groups import RoleSpec, ServicePort
from rbgctrl.api.meta import Key
from rbgctrl.graph.nodes import GroupNode
from rbgctrl.plan.model import Apply
from rbgctrl.plan.revision import owner_reference

__all__ = ["apply_config_map", "config", "mode", "port_key"]

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times faster where PyYAML was built with libyaml


def mode(node: GroupNode) -> str:
    """``refine`` when the controller keeps the discovery ConfigMap, ``legacy`` when it must leave it alone.

    A mode written on the group stands. A group that was already running under an older release, which shows in a
    status without the annotation, is legacy.
    """
    stored = node.group.metadata.annotations.get(labels.DISCOVERY_MODE, "")
    if stored in (labels.DISCOVERY_REFINE, labels.DISCOVERY_LEGACY):
        return stored
    status = node.group.status
    ran_before = status is not None and (bool(status.observed_generation) or bool(status.role_statuses))
    return labels.DISCOVERY_LEGACY if ran_before else labels.DISCOVERY_REFINE


def port_key(port: ServicePort) -> str:
    """The key of a port in the file: its name with ``-`` as ``_``, else ``port<number>``."""
    return port.name.lower().replace("-", "_") if port.name else f"port{port.port}"


def config(node: GroupNode, replicas: Mapping[str, int], services: Mapping[str, str]) -> str:
    """The text of ``/etc/rbg/config.yaml``: keys sorted at each level, stateful roles only.

    Args:
        node: the group.
        replicas: role name to instances wanted.
        services: role name to the name of its headless Service.
    """
    stateful = [role.spec for role in node.roles if roles.is_stateful(role.spec)]
    document = {
        "group": {
            "name": node.group.key.name,
            "size": len(stateful),
            "roles": [role.name for role in stateful],
        },
        "roles": {
            role.name: {
                "size": replicas[role.name],
                "instances": _instances(node.group.key.name, role, replicas[role.name], services[role.name]),
            }
            for role in stateful
        },
    }
    return yaml.dump(
        document, Dumper=_Dumper, sort_keys=True, default_flow_style=False, allow_unicode=True, width=1 << 20
    )


def _instances(group: str, role: RoleSpec, count: int, service: str) -> list[dict[str, Any]]:
    ports = {port_key(port): port.port for port in role.service_ports}
    workload = names.workload(group, role.name)
    entries: list[dict[str, Any]] = []
    for index in range(count):
        entry: dict[str, Any] = {"address": f"{workload}-{index}.{service}"}
        if ports:
            entry["ports"] = dict(ports)  # a copy, or YAML would write an alias
        entries.append(entry)
    return entries


def apply_config_map(node: GroupNode, text: str) -> Apply | None:
    """The apply that makes the discovery ConfigMap hold ``text``, or None when it already does."""
    group, live = node.group, node.config_map
    key = Key(group.key.namespace, names.discovery_config_map(group.key.name))
    if live is not None:
        controller = live.metadata.controller()
        mine = controller is not None and controller.uid == group.uid
        same = mine and live.data.get(labels.CONFIG_FILE) == text
        if same or live.metadata.deleting:
            return None
    body = {
        "apiVersion": ConfigMap.KIND.api_version,
        "kind": ConfigMap.KIND.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": {labels.GROUP_NAME: group.key.name},
            "ownerReferences": [
                owner_reference(group.KIND.api_version, group.KIND.kind, group.key.name, group.uid),
            ],
        },
        "data": {labels.CONFIG_FILE: text},
    }
    why = "there is no discovery file yet" if live is None else "the topology in the discovery file changed"
    return Apply(kind=ConfigMap, key=key, body=body, uid=live.uid if live else "", adopt=True, why=why)
