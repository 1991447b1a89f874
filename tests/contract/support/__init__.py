"""What contract cases are made of: a server of any sort, a hand on it, and answers as plain JSON."""

from __future__ import annotations

from contract.support.api import Api, Kind, Obj, Watching
from contract.support.backends import Backend
from contract.support.bodies import config_map, group, instance, instance_set, metadata, owner, pod, role, service
from contract.support.cases import case, kinds, together
from contract.support.foreign import Deployment, EndpointSlice, PodGroup, Secret, StatefulSet

__all__ = [
    "Api",
    "Backend",
    "Deployment",
    "EndpointSlice",
    "Kind",
    "Obj",
    "PodGroup",
    "Secret",
    "StatefulSet",
    "Watching",
    "case",
    "config_map",
    "group",
    "instance",
    "instance_set",
    "kinds",
    "metadata",
    "owner",
    "pod",
    "role",
    "service",
    "together",
]
