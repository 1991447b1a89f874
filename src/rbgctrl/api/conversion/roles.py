"""A role in either version, by the rules of the contract: what the other version has no field for is left out here.

:mod:`rbgctrl.api.conversion.carrier` finds what was left out by comparing, and takes it along.
"""

from __future__ import annotations

from typing import Final

from rbgctrl.api import labels
from rbgctrl.api.conversion.values import Obj, mapping, present, sequence, text

__all__ = ["role_down", "role_up", "v1alpha1_condition", "v1alpha2_condition"]

_SAME: Final = ("name", "labels", "replicas", "dependencies", "servicePorts", "engineRuntimes", "minReadySeconds")
_COMPONENT: Final = ("name", "size", "serviceName", "template")
_RECREATE: Final = "Recreate"
_RECREATE_POD: Final = "RecreatePod"
_SELECTION: Final = "sharedServiceSelection"
# Defaults of v1alpha2, written out: the server fills them in when it reads, and not when it stores what was converted,
# so that an object that is written back unchanged would be stored anew.
_PARALLEL: Final = "Parallel"
_DELAYS: Final = {"baseDelaySeconds": 30, "maxDelaySeconds": 600}
_LEADER_WORKER, _CUSTOM, _STANDALONE = "leaderWorkerPattern", "customComponentsPattern", "standalonePattern"


# v1alpha1 to v1alpha2 -------------------------------------------------------------------------------------------------


def role_up(role: Obj, path: str) -> Obj:
    """A v1alpha1 role as v1alpha2.

    Args:
        role: as served; not changed, parts of it are shared by the result.
        path: where it is, with a dot at the end, for errors.

    Raises:
        ConversionError: a field is of another type.
    """
    made = present(role, *_SAME)
    annotations = dict(mapping(role, "annotations", path) or {})
    workload = mapping(role, "workload", path) or {}
    version, kind = text(workload, "apiVersion", f"{path}workload."), text(workload, "kind", f"{path}workload.")
    if version and kind:
        annotations[labels.ROLE_WORKLOAD_TYPE] = f"{version}/{kind}"
    if annotations:
        made["annotations"] = annotations
    _copy_rollout(role, made, path, {_RECREATE: _RECREATE_POD})
    _copy_adapter(role, made, path)
    made |= _pattern_up(role, path)
    made["podManagementPolicy"] = _PARALLEL
    return made


def _pattern_up(role: Obj, path: str) -> Obj:
    restart = text(role, "restartPolicy", path)
    policy = {"restartPolicyConfig": {**({"type": restart} if restart else {}), **_DELAYS}}
    leader_worker = mapping(role, "leaderWorkerSet", path)
    components = sequence(role, "components", path)
    if leader_worker is not None:
        made = present(leader_worker, "size")
        for old, new in (
            ("patchLeaderTemplate", "leaderTemplatePatch"),
            ("patchWorkerTemplate", "workerTemplatePatch"),
        ):
            if leader_worker.get(old) is not None:
                made[new] = leader_worker[old]
        return {_LEADER_WORKER: made | _source_up(role, path) | policy}
    if components:
        return {_CUSTOM: {"components": [present(item, *_COMPONENT) for item in components], **policy}}
    source = _source_up(role, path)
    return {_STANDALONE: source} if source else {}


def _source_up(role: Obj, path: str) -> Obj:
    reference = mapping(role, "templateRef", path)
    if reference is None:
        return present(role, "template")
    made = present(reference, "name")
    if role.get("templatePatch") is not None:
        made["patch"] = role["templatePatch"]
    return {"templateRef": made}


# v1alpha2 to v1alpha1 -------------------------------------------------------------------------------------------------


def role_down(role: Obj, path: str) -> Obj:
    """A v1alpha2 role as v1alpha1; arguments and errors as :func:`role_up`."""
    made = present(role, *_SAME)
    annotations = dict(mapping(role, "annotations", path) or {})
    version, kind = _workload(annotations)
    if version:
        del annotations[labels.ROLE_WORKLOAD_TYPE]  # the field says the same; upstream says it twice
    else:
        version, _, kind = labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET.rpartition("/")
    if annotations:
        made["annotations"] = annotations
    made["workload"] = {"apiVersion": version, "kind": kind}
    _copy_rollout(role, made, path, {_RECREATE_POD: _RECREATE})
    _copy_adapter(role, made, path)
    made |= _pattern_down(role, path)
    return made


def _workload(annotations: Obj) -> tuple[str, str]:
    value = annotations.get(labels.ROLE_WORKLOAD_TYPE)
    if not isinstance(value, str):
        return "", ""
    version, _, kind = value.rpartition("/")
    return (version, kind) if version and kind else ("", "")


def _pattern_down(role: Obj, path: str) -> Obj:
    chosen = _v1alpha2_pattern(role)
    if not chosen:
        return {}
    pattern = mapping(role, chosen, path) or {}
    path = f"{path}{chosen}."
    made: Obj = {}
    if chosen == _LEADER_WORKER:
        leader_worker = present(pattern, "size")
        for old, new in (
            ("leaderTemplatePatch", "patchLeaderTemplate"),
            ("workerTemplatePatch", "patchWorkerTemplate"),
        ):
            if pattern.get(old) is not None:
                leader_worker[new] = pattern[old]
        made["leaderWorkerSet"] = leader_worker
    if chosen == _CUSTOM:
        components = sequence(pattern, "components", path) or []
        made["components"] = [present(item, *_COMPONENT) for item in components]
    else:
        made |= _source_down(pattern, path)
    restart = _restart(pattern, path) if chosen != _STANDALONE else ""
    if restart:
        made["restartPolicy"] = restart
    return made


def _restart(pattern: Obj, path: str) -> str:
    config = mapping(pattern, "restartPolicyConfig", path) or {}
    return text(config, "type", f"{path}restartPolicyConfig.") or text(pattern, "restartPolicy", path)


def _source_down(pattern: Obj, path: str) -> Obj:
    reference = mapping(pattern, "templateRef", path)
    if reference is None:
        return present(pattern, "template")
    made: Obj = {"templateRef": present(reference, "name")}
    if reference.get("patch") is not None:
        made["templatePatch"] = reference["patch"]
    return made


# Both -----------------------------------------------------------------------------------------------------------------


def _copy_rollout(role: Obj, made: Obj, path: str, names: dict[str, str]) -> None:
    rollout = mapping(role, "rolloutStrategy", path)
    if rollout is None:
        return
    update = mapping(rollout, "rollingUpdate", f"{path}rolloutStrategy.")
    kind = update.get("type") if update is not None else None
    if update is not None and isinstance(kind, str) and kind in names:
        rollout = {**rollout, "rollingUpdate": {**update, "type": names[kind]}}
    made["rolloutStrategy"] = rollout


def _copy_adapter(role: Obj, made: Obj, path: str) -> None:
    adapter = present(mapping(role, "scalingAdapter", path) or {}, "enable")
    if adapter:
        made["scalingAdapter"] = adapter


# What has to be unchanged for something carried to come back ----------------------------------------------------------


def v1alpha2_condition(role: Obj, tail: list[str]) -> str:
    """What a carried field of a v1alpha2 role depends on beside its own place, as text to compare.

    Args:
        role: the role as the rules make it.
        tail: path of the field in it.
    """
    if tail[0] not in (_LEADER_WORKER, _CUSTOM, _STANDALONE):
        return ""
    if len(tail) == 1:
        return f"pattern {_v1alpha2_pattern(role)}"
    if tail[1:] == [_SELECTION]:
        return f"workload {(role.get('annotations') or {}).get(labels.ROLE_WORKLOAD_TYPE, '')}"
    if tail[1:] == ["restartPolicy"]:
        return f"restart {_restart(role.get(tail[0]) or {}, '')}"
    return ""


def _v1alpha2_pattern(role: Obj) -> str:
    if role.get(_LEADER_WORKER) is not None:
        return _LEADER_WORKER
    custom = role.get(_CUSTOM)
    if isinstance(custom, dict) and custom.get("components"):
        return _CUSTOM
    return _STANDALONE if role.get(_STANDALONE) is not None else ""


def v1alpha1_condition(role: Obj, tail: list[str]) -> str:
    """As :func:`v1alpha2_condition`, of a v1alpha1 role: what says how pods look depends on the rest of it."""
    if len(tail) != 1 or tail[0] not in (
        "leaderWorkerSet",
        "components",
        "template",
        "templateRef",
        "templatePatch",
        "restartPolicy",
    ):
        return ""
    shape = [
        name for name in ("leaderWorkerSet", "components", "template", "templateRef") if role.get(name) is not None
    ]
    return f"pattern {' '.join(shape)}"
