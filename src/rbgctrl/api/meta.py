"""What every Kubernetes object has in common, as frozen, collector-free values.

Cached objects are ``msgspec`` Structs: unknown JSON keys are skipped while decoding, tuples instead of
lists keep them out of the garbage collector's sight, and frozen means nobody edits the cache.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec

__all__ = ["Condition", "Key", "Kind", "LabelSelector", "ObjectMeta", "OwnerReference", "Resource", "Value"]

R_co = TypeVar("R_co", bound="Resource", covariant=True)


class Key(NamedTuple):
    """Namespace and name of an object; the namespace is ``""`` for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @classmethod
    def parse(cls, text: str) -> Key:
        """``"ns/name"`` or ``"name"`` as a key."""
        namespace, slash, name = text.rpartition("/")
        return cls(namespace if slash else "", name)


class Value(msgspec.Struct, frozen=True, gc=False, kw_only=True, rename="camel", omit_defaults=True):
    """Base of every immutable JSON object we keep. Field names are snake_case here, camelCase on the wire."""


class Kind(msgspec.Struct, Generic[R_co], frozen=True, gc=False):
    """Where a kind lives in the API.

    Args:
        group: API group, ``""`` for core.
        version: API version, e.g. ``v1alpha2``.
        kind: CamelCase name.
        plural: resource name in URLs.
        namespaced: whether objects live in a namespace.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``group/version``, or only the version for core."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """``plural.group``: what kubectl and RBAC call it, and the name of its CRD."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of a collection or, with ``name``, of one object or its subresource.

        A namespaced kind with an empty namespace means the collection over all namespaces.
        """
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def __str__(self) -> str:
        return self.kind


class OwnerReference(Value, frozen=True, gc=False):
    """``metadata.ownerReferences[]``."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Value, frozen=True, gc=False):
    """``metadata``, without managedFields."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def rv(self) -> int:
        """The resourceVersion as a number; 0 when the object was never stored."""
        return int(self.resource_version) if self.resource_version else 0

    @property
    def deleting(self) -> bool:
        """Whether deletion has been requested."""
        return self.deletion_timestamp is not None

    def controller(self) -> OwnerReference | None:
        """The owner that controls this object, if any."""
        for reference in self.owner_references:
            if reference.controller:
                return reference
        return None


class Condition(Value, frozen=True, gc=False):
    """``status.conditions[]``, tolerant on read: only type and status are needed."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int | None = None

    @property
    def true(self) -> bool:
        """Whether the status is exactly ``True``."""
        return self.status == "True"


class LabelSelector(Value, frozen=True, gc=False):
    """``metav1.LabelSelector``."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[dict[str, Any], ...] = ()


class Resource(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of every cached kind; subclasses set ``KIND`` and add ``spec`` and ``status`` as needed."""

    KIND: ClassVar[Kind[Any]]

    metadata: ObjectMeta

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.metadata.namespace, self.metadata.name)  # not through the other one: this is asked for most

    @property
    def uid(self) -> str:
        """``metadata.uid``."""
        return self.metadata.uid
