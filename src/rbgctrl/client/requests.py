"""Requests as values: paths, queries and bodies of the Kubernetes API, with plausible mistakes refused.

All functions are pure; the client sends what they return.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec
from pydantic import BaseModel

from rbgctrl.api.meta import Key, Kind, Resource
from rbgctrl.client.transport import ApiRequest, Verb

__all__ = ["Body", "Query", "check", "collection", "complete", "delete_options", "encode", "named", "query_of"]

Body: TypeAlias = Mapping[str, Any]
Query: TypeAlias = tuple[tuple[str, str], ...]


def named(
    kind: type[Resource],
    key: Key,
    verb: Verb,
    method: str,
    query: Query = (),
    body: bytes | None = None,
    content_type: str = "application/json",
    subresource: str = "",
) -> ApiRequest:
    """A request about one object. Raises ValueError as :func:`check` does."""
    check(kind.KIND, key)
    return ApiRequest(
        verb=verb,
        method=method,
        path=kind.KIND.path(key.namespace, key.name, subresource),
        query=query,
        body=body,
        content_type=content_type,
        kind=kind.KIND,
        key=key,
        subresource=subresource,
    )


def collection(kind: type[Resource], namespace: str, verb: Verb, query: Query) -> ApiRequest:
    """A read of a collection; an empty namespace means all of them. Raises ValueError as :func:`check` does."""
    key = Key(namespace, "")
    if namespace:
        check(kind.KIND, key, needs_name=False)
    return ApiRequest(verb=verb, method="GET", path=kind.KIND.path(namespace), query=query, kind=kind.KIND, key=key)


def check(kind: Kind[Any], key: Key, *, needs_name: bool = True) -> None:
    """Refuse an address that would silently mean a collection or another object.

    Raises:
        ValueError: the name is empty where one is needed, a namespaced kind has no namespace, or a part holds a sign
            that has a meaning in a URL.
    """
    if needs_name and not key.name:
        raise ValueError(f"{kind}: the name is empty")
    if kind.namespaced and not key.namespace:
        raise ValueError(f"{kind} {key.name!r}: it lives in a namespace, and none was given")
    for part in key:
        if part in (".", "..") or any(sign in part for sign in "/%?#"):
            raise ValueError(f"{kind} {str(key)!r}: {part!r} cannot be a name")


def query_of(**parameters: str) -> Query:
    """Query parameters, without the empty ones."""
    return tuple((name, value) for name, value in parameters.items() if value)


def complete(kind: Kind[Any], key: Key, body: Body) -> dict[str, Any]:
    """The body with what the address says already: apiVersion, kind, name, namespace. Never changes what is there."""
    metadata: dict[str, Any] = {"name": key.name} if key.name else {}
    if kind.namespaced and key.namespace:
        metadata["namespace"] = key.namespace
    metadata |= body.get("metadata") or {}
    return {"apiVersion": kind.api_version, "kind": kind.kind, **body, "metadata": metadata}


def delete_options(
    uid: str | None, resource_version: str | None, propagation: str | None, grace_period_seconds: int | None
) -> Body:
    """The body of a delete; None leaves a field out."""
    conditions = {"uid": uid, "resourceVersion": resource_version}
    preconditions = {name: value for name, value in conditions.items() if value is not None}
    options = {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "preconditions": preconditions or None,
        "propagationPolicy": propagation,
        "gracePeriodSeconds": grace_period_seconds,
    }
    return {name: value for name, value in options.items() if value is not None}


def encode(body: Any) -> bytes:
    """A body as JSON. ``msgspec.Raw`` goes out as it is; pydantic models without their None fields."""
    return msgspec.json.encode(body, enc_hook=_encode_other)


def _encode_other(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be sent")
