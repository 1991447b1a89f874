"""As much OpenAPI as kubectl asks for before it applies or explains something."""

from __future__ import annotations

from typing import Any, Final

from rbgctrl.sim.kinds import KindTable, Row
from rbgctrl.sim.schema import ANY, Schema

__all__ = ["group_document", "index", "swagger"]

_PATCHES: Final = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
_PARAMETERS: Final = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]


def index(kinds: KindTable) -> dict[str, Any]:
    """``/openapi/v3``: where the documents of each group are."""
    paths = [
        f"apis/{group}/{version}" if group else f"api/{version}"
        for group, versions in kinds.groups().items()
        for version in versions
    ]
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash=embedded"} for path in paths}}


def group_document(kinds: KindTable, group: str, version: str) -> dict[str, Any]:
    """``/openapi/v3/apis/<group>/<version>``: paths of its kinds, and schemas of those that have one."""
    rows = [row for row in kinds if (row.kind.group, row.kind.version) == (group, version)]
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "embedded"},
        "paths": {path: item for row in rows for path, item in _paths(row).items()},
        "components": {"schemas": {_name(row): _schema(row) for row in rows}},
    }


def swagger(kinds: KindTable) -> dict[str, Any]:
    """``/openapi/v2``: nothing but the version; whoever wants schemas asks for v3."""
    del kinds
    return {"swagger": "2.0", "info": {"title": "Kubernetes", "version": "embedded"}, "paths": {}, "definitions": {}}


def _name(row: Row) -> str:
    group = ".".join(reversed(row.kind.group.split("."))) if row.kind.group else "io.k8s.api.core"
    return f"{group}.{row.kind.version}.{row.kind.kind}"


def _identity(row: Row) -> dict[str, str]:
    return {"group": row.kind.group, "version": row.kind.version, "kind": row.kind.kind}


def _schema(row: Row) -> dict[str, Any]:
    source = dict(row.source) or _outline(row.schema)
    return {**source, "x-kubernetes-group-version-kind": [_identity(row)]}


_TYPES: Final = {"quantity": "string", "": "object"}


def _outline(schema: Schema) -> dict[str, Any]:
    """A built-in kind's schema for people who ask what fields there are: names and types, nothing to validate by."""
    if schema.type == "intstr":
        return {"type": "string", "format": "int-or-string"}
    found: dict[str, Any] = {"type": _TYPES.get(schema.type, schema.type)}
    if schema.fields:
        found["properties"] = {name: _outline(field) for name, field in sorted(schema.fields.items())}
    if schema.extra is not None:
        found["additionalProperties"] = _outline(schema.extra)
    if schema.type == "array":
        found["items"] = _outline(schema.items or ANY)
    return found


def _paths(row: Row) -> dict[str, Any]:
    collection = row.kind.path("{namespace}" if row.kind.namespaced else "")
    reference = {"$ref": f"#/components/schemas/{_name(row)}"}
    content = {"application/json": {"schema": reference}}

    def operation(action: str, **more: Any) -> dict[str, Any]:
        return {
            "responses": {"200": {"description": "OK", "content": content}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": _identity(row),
            **more,
        }

    # Strategic merge is not mentioned: kubectl would want merge keys in the schema, and knows them itself.
    patch = {"content": {kind: {"schema": {"type": "object"}} for kind in _PATCHES}}
    return {
        collection: {
            "get": operation("list"),
            "post": operation("post", parameters=_PARAMETERS, requestBody={"content": content}),
        },
        f"{collection}/{{name}}": {
            "get": operation("get"),
            "put": operation("put", parameters=_PARAMETERS, requestBody={"content": content}),
            "patch": operation("patch", parameters=_PARAMETERS, requestBody=patch),
            "delete": operation("delete", parameters=_PARAMETERS[:1]),
        },
    }
