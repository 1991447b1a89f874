"""What a kubelet writes into the status of a pod, as pure functions: a pod in, its new status out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

__all__ = [
    "Status",
    "condition",
    "crashed",
    "ended",
    "evicted",
    "gates",
    "image_id",
    "is_terminal",
    "outdated_containers",
    "ready",
    "replaced",
    "restarted",
    "settled",
    "started",
    "unready",
    "with_condition",
]

Obj: TypeAlias = Mapping[str, Any]
Status: TypeAlias = dict[str, Any]

_ENDED: Final = ("Succeeded", "Failed")
_COMPLETED: Final = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}


def is_terminal(pod: Obj) -> bool:
    """Whether the pod has ended for good."""
    return (pod.get("status") or {}).get("phase") in _ENDED


def condition(status: Obj, kind: str) -> Obj | None:
    """The condition of that type, or None."""
    return next((found for found in status.get("conditions") or () if found["type"] == kind), None)


def with_condition(
    status: Obj, kind: str, value: str, now: str, *, reason: str = "", message: str = "", generation: int | None = None
) -> Status:
    """The status with one condition set; its time of transition stays unless its value changes."""
    conditions = list(status.get("conditions") or ())
    at = next((index for index, found in enumerate(conditions) if found["type"] == kind), len(conditions))
    old: Obj = conditions[at] if at < len(conditions) else {}
    moved = now if old.get("status") != value else old.get("lastTransitionTime", now)
    new: Status = {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": moved}
    new |= {"reason": reason} if reason else {}
    new |= {"message": message} if message else {}
    new |= {"observedGeneration": generation} if generation is not None else {}
    conditions[at : at + 1] = [new]
    return {**status, "conditions": conditions}


def image_id(image: str) -> str:
    """The digest a registry would answer for an image: equal for equal names, different for different ones."""
    repository, at, digest = image.partition("@")
    if at:
        return f"{repository}@{digest}"
    head, colon, tag = image.rpartition(":")
    repository = head if colon and "/" not in tag else image
    return f"{repository}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"


# Life -----------------------------------------------------------------------------------------------------------------


def started(pod: Obj, now: str, *, host: str, address: str, is_ready: bool) -> Status:
    """Every container runs; ``is_ready`` whether its probes pass at once."""
    status: Status = {
        **(pod.get("status") or {}),
        "phase": "Running",
        "startTime": now,
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "containerStatuses": [
            _running(container, now, count=0, is_ready=is_ready) for container in pod["spec"]["containers"]
        ],
    }
    init = [
        _running(container, now, count=0, is_ready=True)
        if container.get("restartPolicy") == "Always"
        else _terminated(container, now, code=0, count=0, is_ready=True)
        for container in pod["spec"].get("initContainers") or ()
    ]
    if init:
        status["initContainerStatuses"] = init
    for kind in ("PodReadyToStartContainers", "Initialized"):
        status = with_condition(status, kind, "True", now)
    return settled(pod, status, now)


def ready(pod: Obj, now: str, names: Sequence[str]) -> Status:
    """These containers pass their probes."""
    return _with_readiness(pod, now, names, passes=True)


def unready(pod: Obj, now: str, names: Sequence[str]) -> Status:
    """These containers run, but fail their probes."""
    return _with_readiness(pod, now, names, passes=False)


def _with_readiness(pod: Obj, now: str, names: Sequence[str], *, passes: bool) -> Status:
    status = dict(pod["status"])
    status["containerStatuses"] = [
        {**found, "ready": passes} if found["name"] in names else found for found in status["containerStatuses"]
    ]
    return settled(pod, status, now)


def ended(pod: Obj, now: str, *, phase: str) -> Status:
    """Every container has ended, and none is started again."""
    code = 0 if phase == "Succeeded" else 1
    return _over(pod, {**pod["status"], "phase": phase}, now, code=code)


def evicted(pod: Obj, now: str, *, message: str) -> Status:
    """The kubelet ended the pod because its node ran short of something."""
    status = {**(pod.get("status") or {}), "phase": "Failed", "reason": "Evicted", "message": message}
    status = with_condition(status, "DisruptionTarget", "True", now, reason="TerminationByKubelet", message=message)
    return _over(pod, status, now, code=137)


def _over(pod: Obj, status: Status, now: str, *, code: int) -> Status:
    containers = {container["name"]: container for container in pod["spec"]["containers"]}
    status["containerStatuses"] = [
        _terminated(containers[found["name"]], now, code=code, count=found["restartCount"], is_ready=False)
        for found in status.get("containerStatuses") or ()
        if found["name"] in containers
    ]
    for kind in ("Ready", "ContainersReady"):
        status = with_condition(status, kind, "False", now, reason=_COMPLETED[status["phase"]])
    return status


# One container --------------------------------------------------------------------------------------------------------


def outdated_containers(pod: Obj) -> list[str]:
    """Containers whose image was changed in the spec since they were started."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    running = {found["name"]: found["image"] for found in statuses}
    return [
        container["name"]
        for container in pod["spec"]["containers"]
        if container["name"] in running and running[container["name"]] != container["image"]
    ]


def replaced(pod: Obj, now: str, names: Sequence[str]) -> Status:
    """These containers were stopped, to be started again."""
    status = dict(pod["status"])
    status["containerStatuses"] = [
        {**_stopped(found, now, code=0), "ready": False, "started": False} if found["name"] in names else found
        for found in status["containerStatuses"]
    ]
    return settled(pod, status, now)


def restarted(pod: Obj, now: str, names: Sequence[str], *, is_ready: bool) -> Status:
    """These containers run again, with the image the spec has now."""
    containers = {container["name"]: container for container in pod["spec"]["containers"]}
    status = {**pod["status"], "phase": "Running"}
    status["containerStatuses"] = [
        {
            **_running(containers[found["name"]], now, count=_count(found), is_ready=is_ready),
            "lastState": _last(found),
        }
        if found["name"] in names
        else found
        for found in status["containerStatuses"]
    ]
    return settled(pod, status, now)


def crashed(pod: Obj, now: str, names: Sequence[str], *, code: int, wait: float) -> Status:
    """These containers ended with an error and wait to be started again."""
    status = dict(pod["status"])
    where = f"{pod['metadata']['name']}_{pod['metadata'].get('namespace', '')}({pod['metadata']['uid']})"
    status["containerStatuses"] = [
        {
            **found,
            "ready": False,
            "started": False,
            "restartCount": found["restartCount"] + 1,
            "lastState": _stopped(found, now, code=code)["state"],
            "state": {
                "waiting": {
                    "reason": "CrashLoopBackOff",
                    "message": f"back-off {wait:g}s restarting failed container={found['name']} pod={where}",
                }
            },
        }
        if found["name"] in names
        else found
        for found in status["containerStatuses"]
    ]
    return settled(pod, status, now)


def _running(container: Obj, now: str, *, count: int, is_ready: bool) -> Status:
    return {
        **_identity(container, count),
        "state": {"running": {"startedAt": now}},
        "lastState": {},
        "ready": is_ready,
        "started": True,
    }


def _terminated(container: Obj, now: str, *, code: int, count: int, is_ready: bool) -> Status:
    return {
        **_identity(container, count),
        "state": {"terminated": _termination(now, now, code)},
        "lastState": {},
        "ready": is_ready,
        "started": False,
    }


def _identity(container: Obj, count: int) -> Status:
    image = container.get("image", "")
    return {
        "name": container["name"],
        "image": image,
        "imageID": image_id(image),
        "restartCount": count,
    }


def _stopped(found: Obj, now: str, *, code: int) -> Status:
    since = (found.get("state", {}).get("running") or {}).get("startedAt", now)
    return {**found, "state": {"terminated": _termination(since, now, code)}}


def _termination(since: str, now: str, code: int) -> Status:
    reason = "Completed" if code == 0 else "Error"
    return {"exitCode": code, "reason": reason, "startedAt": since, "finishedAt": now}


def _count(found: Obj) -> int:
    """Restarts so far, this one included; a container that waits was counted when it ended."""
    waiting = "waiting" in found.get("state", {})
    return int(found["restartCount"]) + (0 if waiting else 1)


def _last(found: Obj) -> Obj:
    state: Obj = found.get("state", {})
    return state if "terminated" in state else found.get("lastState") or {}


# Conditions -----------------------------------------------------------------------------------------------------------


def settled(pod: Obj, status: Obj, now: str) -> Status:
    """The status with Ready and ContainersReady as its containers and the pod's readiness gates make them."""
    unready = [found["name"] for found in status.get("containerStatuses") or () if not found["ready"]]
    if unready:
        reason, message = "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
        made = with_condition(status, "Ready", "False", now, reason=reason, message=message)
        return with_condition(made, "ContainersReady", "False", now, reason=reason, message=message)
    shut = gates(pod, status)
    if shut:
        made = with_condition(status, "Ready", "False", now, reason="ReadinessGatesNotReady", message=shut)
    else:
        made = with_condition(status, "Ready", "True", now)
    return with_condition(made, "ContainersReady", "True", now)


def gates(pod: Obj, status: Obj) -> str:
    """Which readiness gates of a pod are shut, in a kubelet's words; ``""`` when none is."""
    messages = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        found = condition(status, kind)
        if found is None:
            messages.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif found["status"] != "True":
            messages.append(f'the status of pod readiness gate "{kind}" is not "True", but {found["status"]}')
    return ", ".join(messages)
