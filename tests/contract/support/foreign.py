"""Built-in kinds that only cases write: all of them that is looked at is their JSON."""

from __future__ import annotations

from typing import ClassVar

from rbgctrl.api.meta import Kind, Resource

__all__ = ["Deployment", "EndpointSlice", "PodGroup", "Secret", "StatefulSet"]


class Secret(Resource, frozen=True, gc=False):
    """A core/v1 Secret."""

    KIND: ClassVar[Kind[Secret]] = Kind("", "v1", "Secret", "secrets")


class Deployment(Resource, frozen=True, gc=False):
    """An apps/v1 Deployment."""

    KIND: ClassVar[Kind[Deployment]] = Kind("apps", "v1", "Deployment", "deployments")


class StatefulSet(Resource, frozen=True, gc=False):
    """An apps/v1 StatefulSet."""

    KIND: ClassVar[Kind[StatefulSet]] = Kind("apps", "v1", "StatefulSet", "statefulsets")


class EndpointSlice(Resource, frozen=True, gc=False):
    """A discovery.k8s.io/v1 EndpointSlice."""

    KIND: ClassVar[Kind[EndpointSlice]] = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")


class PodGroup(Resource, frozen=True, gc=False):
    """A PodGroup of scheduler-plugins."""

    KIND: ClassVar[Kind[PodGroup]] = Kind("scheduling.x-k8s.io", "v1alpha1", "PodGroup", "podgroups")
