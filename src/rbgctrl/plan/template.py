"""What the controller adds to a role's pod template: discovery volume, environment, labels.

Input templates are never changed; every function returns new values. They expect what
:func:`rbgctrl.api.podshape.malformed` finds nothing wrong with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rbgctrl.api import labels, names

__all__ = [
    "add_environment",
    "add_metadata",
    "common_labels",
    "environment",
    "leader_worker_environment",
    "merge_environment",
    "mount_discovery",
]

# Labels and environment -----------------------------------------------------------------------------------------------


def common_labels(namespace: str, group: str, role: str) -> dict[str, str]:
    """The three labels that tie an object to its role; also the selector of the role's pods."""
    return {
        labels.GROUP_NAME: group,
        labels.ROLE_NAME: role,
        labels.GROUP_UID: names.group_uid(namespace, group),
    }


def environment(group: str, role: str, *, stateful: bool, instances: bool = True) -> list[dict[str, Any]]:
    """The variables every regular container of a role gets, sorted by name.

    None of them carries the number of replicas, so scaling never changes a template.

    Args:
        group: name of the group.
        role: name of the role.
        stateful: whether its instances have ordinals.
        instances: whether its pods belong to RoleInstances; those of other workloads have fewer labels to tell from.
    """
    batch = [_literal(labels.ENV_GROUP_NAME, group), _literal(labels.ENV_ROLE_NAME, role)]
    if instances:
        batch += [
            _from_label(labels.ENV_ROLE_INSTANCE_NAME, labels.ROLE_INSTANCE_NAME),
            _from_label(labels.ENV_COMPONENT_NAME, labels.COMPONENT_NAME),
            _from_label(labels.ENV_COMPONENT_INDEX, labels.COMPONENT_ID),
        ]
    if stateful:
        ordinal = labels.ROLE_INSTANCE_INDEX if instances else labels.APPS_POD_INDEX
        batch.append(_from_label(labels.ENV_ROLE_INDEX, ordinal))
    return sorted(batch, key=lambda variable: str(variable["name"]))


def leader_worker_environment(service: str, namespace: str) -> list[dict[str, Any]]:
    """What the pods of leader-worker instances get beside that; it refers to it, so it comes after it."""
    return [
        _literal(labels.ENV_LWP_LEADER_ADDRESS, names.leader_address(service, namespace)),
        _from_label(labels.ENV_LWP_WORKER_INDEX, labels.COMPONENT_INDEX),
        _from_label(labels.ENV_LWP_GROUP_SIZE, labels.COMPONENT_SIZE),
    ]


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


# Additions ------------------------------------------------------------------------------------------------------------


def add_metadata(
    template: Mapping[str, Any],
    *,
    over_labels: Mapping[str, str] | None = None,
    over_annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A template with labels and annotations laid over its own."""
    metadata = dict(template.get("metadata") or {})
    for field, added in (("labels", over_labels), ("annotations", over_annotations)):
        if added:
            metadata[field] = {**(metadata.get(field) or {}), **added}
    return {**template, "metadata": metadata}


def add_environment(template: Mapping[str, Any], *batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A template with the batches merged into the environment of every regular container, one after the other."""
    spec = dict(template.get("spec") or {})
    spec["containers"] = [_with_environment(container, batches) for container in spec.get("containers") or ()]
    return {**template, "spec": spec}


def _with_environment(container: Mapping[str, Any], batches: Iterable[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    variables = container.get("env") or ()
    for batch in batches:
        variables = merge_environment(variables, batch)
    return {**container, "env": variables}


def mount_discovery(template: Mapping[str, Any], config_map: str) -> dict[str, Any]:
    """A template with the discovery file mounted into the regular containers it has; a mount of the user's stays.

    Args:
        template: the template.
        config_map: name of the ConfigMap with the file.
    """
    spec = dict(template.get("spec") or {})
    spec["volumes"] = _with_volume(spec.get("volumes") or (), config_map)
    spec["containers"] = [_with_mount(container) for container in spec.get("containers") or ()]
    return {**template, "spec": spec}


def _with_volume(volumes: Iterable[Any], config_map: str) -> list[Any]:
    listed = list(volumes)
    if any(volume.get("name") == labels.CONFIG_VOLUME for volume in listed):
        return listed
    item = {"key": labels.CONFIG_FILE, "path": labels.CONFIG_FILE}
    return [*listed, {"name": labels.CONFIG_VOLUME, "configMap": {"name": config_map, "items": [item]}}]


def _with_mount(container: Mapping[str, Any]) -> dict[str, Any]:
    mounts = list(container.get("volumeMounts") or ())
    if not any(mount.get("name") == labels.CONFIG_VOLUME for mount in mounts):
        mounts.append({"name": labels.CONFIG_VOLUME, "mountPath": labels.CONFIG_MOUNT_PATH, "readOnly": True})
    return {**container, "volumeMounts": mounts}
