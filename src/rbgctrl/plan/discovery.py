"""The file through which a pod finds its peers, and whether this group's file is ours to keep."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import yaml

from rbgctrl.api import labels, names, roles
from rbgctrl.api.core import ConfigMap
from rbgctrl.api.groups import RoleSpec
from rbgctrl.api.meta import Key
from rbgctrl.graph.nodes import GroupNode
from rbgctrl.plan.model import Apply
from rbgctrl.plan.patience import rest
from rbgctrl.plan.revision import owner_reference
from rbgctrl.plan.topology import movements, port_key, topology

__all__ = ["config", "file", "mode"]

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times faster where PyYAML was built with libyaml


def mode(node: GroupNode) -> str:
    """``refine`` when the controller keeps the discovery ConfigMap, ``legacy`` when it must leave it alone.

    A mode written on the group stands, and a file that is the group's says as much when the annotation got lost. A
    group that was already running under an older release, which shows in a status without either, is legacy.
    """
    stored = node.group.metadata.annotations.get(labels.DISCOVERY_MODE, "")
    if stored in (labels.DISCOVERY_REFINE, labels.DISCOVERY_LEGACY):
        return stored
    controller = node.config_map.metadata.controller() if node.config_map is not None else None
    if controller is not None and controller.uid == node.group.uid:
        return labels.DISCOVERY_REFINE
    status = node.group.status
    ran_before = status is not None and (bool(status.observed_generation) or bool(status.role_statuses))
    return labels.DISCOVERY_LEGACY if ran_before else labels.DISCOVERY_REFINE


def config(node: GroupNode, replicas: Mapping[str, int], services: Mapping[str, str]) -> str:
    """What upstream writes into ``/etc/rbg/config.yaml``: keys sorted at each level, stateful roles only.

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
    ports = {port_key(port.name, port.port): port.port for port in role.service_ports}
    workload = names.workload(group, role.name)
    entries: list[dict[str, Any]] = []
    for index in range(count):
        entry: dict[str, Any] = {"address": f"{workload}-{index}.{service}"}
        if ports:
            entry["ports"] = dict(ports)  # a copy, or YAML would write an alias
        entries.append(entry)
    return entries


def file(
    node: GroupNode, head: str, replicas: Mapping[str, int], services: Mapping[str, str], now: datetime
) -> tuple[Apply | None, float | None]:
    """The apply that makes the discovery ConfigMap what it should be, if any; else seconds until it may be due.

    What was promised to be there at once (``head``) is; what running pods add is written once they have come to rest.

    Args:
        node: the group, with pods.
        head: what :func:`config` returned.
        replicas: role name to instances wanted.
        services: role name to the name of its headless Service.
        now: the present.
    """
    live, group = node.config_map, node.group
    mine = False
    if live is not None:
        if live.metadata.deleting:
            return None, None
        controller = live.metadata.controller()
        mine = controller is not None and controller.uid == group.uid
        told = live.data.get(labels.CONFIG_FILE, "").startswith(f"{head}topology:")
        # While something moves, what running pods add is not even looked at.
        if mine and told and (pause := rest(movements(node), now)) is not None:
            return None, pause
    text = head + topology(node, replicas, services)
    if live is not None and mine and live.data.get(labels.CONFIG_FILE) == text:
        return None, None
    return _apply(node, text), None


def _apply(node: GroupNode, text: str) -> Apply:
    group, live = node.group, node.config_map
    key = Key(group.key.namespace, names.discovery_config_map(group.key.name))
    body = {
        "apiVersion": ConfigMap.KIND.api_version,
        "kind": ConfigMap.KIND.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": {labels.GROUP_NAME: group.key.name},
            "ownerReferences": [owner_reference(group)],
        },
        "data": {labels.CONFIG_FILE: text},
    }
    why = "there is no discovery file yet" if live is None else "the topology in the discovery file changed"
    return Apply(kind=ConfigMap, key=key, body=body, uid=live.uid if live else "", adopt=True, why=why)
