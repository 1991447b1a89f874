"""The pod that warms up one node, from everything that is to be done there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rbgctrl.api import labels, names
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.meta import Key
from rbgctrl.api.warmups import RoleBasedGroupWarmup, WarmupActions
from rbgctrl.plan.model import Create
from rbgctrl.plan.revision import owner_reference

__all__ = ["Work", "create_pod", "work"]

_HOSTNAME: Final = "kubernetes.io/hostname"
_PRELOAD: Final = ("sh", "-c", "exit 0")
"""An image is pulled by running something of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done on a node, the actions of several roles merged.

    Attributes:
        containers: one for each distinct image, then the custom ones, each distinct content once.
        volumes: by name the first declaration.
        pull_secrets: each once.
        conflicts: names of volumes that were declared again, differently.
    """

    containers: tuple[dict[str, Any], ...]
    volumes: tuple[dict[str, Any], ...] = ()
    pull_secrets: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def work(actions: Sequence[WarmupActions]) -> Work:
    """Merge what several roles ask for on one node; of what they declare twice, the first counts."""
    preloads = [action.image_preload for action in actions if action.image_preload is not None]
    customs = [action.customized_action for action in actions if action.customized_action is not None]
    images = dict.fromkeys(image for preload in preloads for image in preload.images)
    secrets = dict.fromkeys(secret.name for preload in preloads for secret in preload.pull_secrets)
    volumes, conflicts = _volumes(volume for custom in customs for volume in custom.volumes)
    return Work(
        containers=(
            *(_preload(number, image) for number, image in enumerate(images)),
            *_custom(container for custom in customs for container in custom.containers),
        ),
        volumes=volumes,
        pull_secrets=tuple(secrets),
        conflicts=conflicts,
    )


def _preload(number: int, image: str) -> dict[str, Any]:
    return {
        "name": f"image-preload-{number}",
        "image": image,
        "command": list(_PRELOAD),
        "imagePullPolicy": "IfNotPresent",
    }


def _custom(containers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Containers under new names, for two roles may have chosen the same; equal ones run once."""
    distinct: dict[str, dict[str, Any]] = {}
    for container in containers:
        nameless = {key: value for key, value in container.items() if key != "name"}
        distinct.setdefault(json.dumps(nameless, sort_keys=True), nameless)
    return [{"name": f"custom-{number}", **content} for number, content in enumerate(distinct.values())]


def _volumes(declared: Iterable[dict[str, Any]]) -> tuple[tuple[dict[str, Any], ...], tuple[str, ...]]:
    first: dict[str, dict[str, Any]] = {}
    conflicts: dict[str, None] = {}
    for volume in declared:
        if first.setdefault(volume["name"], volume) != volume:
            conflicts[volume["name"]] = None
    return tuple(first.values()), tuple(sorted(conflicts))


def create_pod(found: RoleBasedGroupWarmup, node: str, known: Node | None, attempt: int, todo: Work) -> Create:
    """The create of a pod that does the work on a node.

    Args:
        found: the warmup.
        node: name of the node.
        known: the node, None when it does not exist (yet).
        attempt: number of the attempt, from 0.
        todo: what is done there.
    """
    key = Key(found.key.namespace, names.warmup_pod(found.key.name, node, attempt))
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        **_placed(node, known),
        "containers": list(todo.containers),
    }
    if todo.volumes:
        spec["volumes"] = list(todo.volumes)
    if todo.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in todo.pull_secrets]
    if found.spec.tolerations:
        spec["tolerations"] = list(found.spec.tolerations)
    carried = {
        labels.WARMUP_NAME: names.warmup_label(found.key.name),
        labels.WARMUP_UID: found.uid,
        labels.WARMUP_NODE: names.warmup_node(node),
    }
    owner = owner_reference(found)
    metadata = {"name": key.name, "namespace": key.namespace, "labels": carried, "ownerReferences": [owner]}
    body = {"apiVersion": Pod.KIND.api_version, "kind": Pod.KIND.kind, "metadata": metadata, "spec": spec}
    return Create(kind=Pod, key=key, body=body, owner_uid=found.uid, why="nodes are to be warmed up")


def _placed(node: str, known: Node | None) -> dict[str, Any]:
    """Onto that node and no other: by its host name where that is the node's name, as it nearly always is."""
    hostname = known.metadata.labels.get(_HOSTNAME) if known is not None else node
    if hostname == node and names.is_label_value(node):
        return {"nodeSelector": {_HOSTNAME: node}}
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}
