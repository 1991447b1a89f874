"""What the controller adds to a role's pod template: discovery volume, environment, labels.

Input templates are never changed; every function returns new values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rbgctrl.api import labels, names

__all__ = ["common_labels", "environment", "inject", "merge_environment"]


def common_labels(namespace: str, group: str, role: str) -> dict[str, str]:
    """The three labels that tie an object to its role; also the selector of the role's pods."""
    return {
        labels.GROUP_NAME: group,
        labels.ROLE_NAME: role,
        labels.GROUP_UID: names.group_uid(namespace, group),
    }


def environment(group: str, role: str, *, stateful: bool) -> list[dict[str, Any]]:
    """The variables every regular container of a role gets, sorted by name.

    None of them carries the number of replicas, so scaling never changes a template.
    """
    batch = [
        _literal(labels.ENV_GROUP_NAME, group),
        _literal(labels.ENV_ROLE_NAME, role),
        _from_label(labels.ENV_ROLE_INSTANCE_NAME, labels.ROLE_INSTANCE_NAME),
        _from_label(labels.ENV_COMPONENT_NAME, labels.COMPONENT_NAME),
        _from_label(labels.ENV_COMPONENT_INDEX, labels.COMPONENT_ID),
    ]
    if stateful:
        batch.append(_from_label(labels.ENV_ROLE_INDEX, labels.ROLE_INSTANCE_INDEX))
    return sorted(batch, key=lambda variable: str(variable["name"]))


def _literal(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value}


def _from_label(name: str, label: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{label}']"}}}


def merge_environment(existing: Sequence[Mapping[str, Any]], injected: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Put ``injected`` before the user's variables, so that those may refer to them as ``$(RBG_...)``.

    Order: other ``RBG_*`` already there, the injected batch, ``RBG_LWP_*`` already there, the user's own. Of several
    variables of one name the last stays; one named like an injected variable is dropped.
    """
    taken = {variable["name"] for variable in injected}
    kept = [variable for variable in existing if variable["name"] not in taken]
    ours = [v for v in kept if v["name"].startswith("RBG_") and not v["name"].startswith("RBG_LWP_")]
    pattern = [v for v in kept if v["name"].startswith("RBG_LWP_")]
    users = [v for v in kept if not v["name"].startswith("RBG_")]
    ordered: dict[str, Any] = {}
    for variable in [*ours, *injected, *pattern, *users]:
        ordered.pop(variable["name"], None)
        ordered[variable["name"]] = variable
    return list(ordered.values())


def inject(
    template: Mapping[str, Any],
    *,
    metadata_labels: Mapping[str, str],
    variables: Sequence[Mapping[str, Any]],
    config_map: str = "",
) -> dict[str, Any]:
    """A pod template with discovery volume, environment and labels added.

    Args:
        template: what the user wrote.
        metadata_labels: labels laid over the user's.
        variables: environment for every regular container.
        config_map: name of the discovery ConfigMap to mount; ``""`` for none.
    """
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **metadata_labels}
    spec = dict(template.get("spec") or {})
    containers = [dict(container) for container in spec.get("containers") or ()]
    if config_map:
        spec["volumes"] = _with_volume(spec.get("volumes") or (), config_map)
        containers = [_with_mount(container) for container in containers]
    for container in containers:
        container["env"] = merge_environment(container.get("env") or (), variables)
    spec["containers"] = containers
    return {**template, "metadata": metadata, "spec": spec}


def _with_volume(volumes: Iterable[Any], config_map: str) -> list[Any]:
    listed = list(volumes)
    if any(volume.get("name") == labels.CONFIG_VOLUME for volume in listed):
        return listed
    item = {"key": labels.CONFIG_FILE, "path": labels.CONFIG_FILE}
    return [*listed, {"name": labels.CONFIG_VOLUME, "configMap": {"name": config_map, "items": [item]}}]


def _with_mount(container: dict[str, Any]) -> dict[str, Any]:
    mounts = list(container.get("volumeMounts") or ())
    if not any(mount.get("name") == labels.CONFIG_VOLUME for mount in mounts):
        mounts.append({"name": labels.CONFIG_VOLUME, "mountPath": labels.CONFIG_MOUNT_PATH, "readOnly": True})
    return {**container, "volumeMounts": mounts}
