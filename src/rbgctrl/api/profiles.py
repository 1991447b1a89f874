"""ClusterEngineRuntimeProfile: containers and volumes that roles can have injected into their pods."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from rbgctrl.api.meta import Kind, Resource, Value
from rbgctrl.api.spec import Container, Spec, Volume

__all__ = [
    "ClusterEngineRuntimeProfile",
    "ClusterEngineRuntimeProfileSpec",
    "ClusterEngineRuntimeProfileStatus",
    "ProfileUpdateStrategy",
]


class ProfileUpdateStrategy(StrEnum):
    """What a changed profile means for pods that have the old one."""

    NO_UPDATE = "NoUpdate"
    ROLLING_UPDATE = "RollingUpdate"


class ClusterEngineRuntimeProfileSpec(Spec):
    """What is injected into pods of roles that name the profile."""

    init_containers: tuple[Container, ...] = Field(
        default_factory=tuple, description="Init containers; one whose name the pod has is left out."
    )
    containers: tuple[Container, ...] = Field(
        default_factory=tuple, description="Containers; one whose name the pod has is left out."
    )
    volumes: tuple[Volume, ...] = Field(
        default_factory=tuple, description="Volumes; one whose name the pod has is left out."
    )
    update_strategy: ProfileUpdateStrategy = Field(
        default=ProfileUpdateStrategy.NO_UPDATE,
        description="What an edit means for roles that use the profile: RollingUpdate rolls it out, NoUpdate leaves "
        "them with the content they began with until they ask for something else of the profile.",
        json_schema_extra={"x-required": True},
    )


class ClusterEngineRuntimeProfileStatus(Value, frozen=True, gc=False):
    """Nothing is known of a profile."""


class ClusterEngineRuntimeProfile(Resource, frozen=True):
    """Containers and volumes for the pods of roles that name the profile."""

    KIND: ClassVar[Kind[ClusterEngineRuntimeProfile]] = Kind(
        "workloads.x-k8s.io",
        "v1alpha2",
        "ClusterEngineRuntimeProfile",
        "clusterengineruntimeprofiles",
        namespaced=False,
    )

    spec: ClusterEngineRuntimeProfileSpec | None = None
    status: ClusterEngineRuntimeProfileStatus | None = None
