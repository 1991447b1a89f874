"""The informers all reconcilers read from, asked for once so that they share them."""

from __future__ import annotations

from rbgctrl.api import labels
from rbgctrl.api.core import ConfigMap, ControllerRevision, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.graph.view import Sources
from rbgctrl.informers import Cache, Informer

__all__ = ["Informers"]


class Informers:
    """One informer per kind; made twice from one cache, they are the same ones.

    Built-in kinds are narrowed to what carries our labels, so a large cluster's other objects are never held.
    """

    def __init__(self, cache: Cache) -> None:
        self.groups: Informer[RoleBasedGroup] = cache.informer(RoleBasedGroup)
        self.sets: Informer[RoleInstanceSet] = cache.informer(RoleInstanceSet)
        self.instances: Informer[RoleInstance] = cache.informer(RoleInstance)
        self.pods: Informer[Pod] = cache.informer(Pod, selector=labels.ROLE_INSTANCE_NAME)
        self.services: Informer[Service] = cache.informer(Service, selector=labels.GROUP_NAME)
        self.config_maps: Informer[ConfigMap] = cache.informer(ConfigMap, selector=labels.GROUP_NAME)
        self.revisions: Informer[ControllerRevision] = cache.informer(ControllerRevision)

    @property
    def sources(self) -> Sources:
        """The stores behind the informers."""
        return Sources(
            groups=self.groups.store,
            sets=self.sets.store,
            instances=self.instances.store,
            pods=self.pods.store,
            services=self.services.store,
            config_maps=self.config_maps.store,
            revisions=self.revisions.store,
        )
