"""What clients ask before they ask for objects: versions, groups, resources, health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from rbgctrl.client.transport import ApiRequest, ApiResponse
from rbgctrl.sim.kinds import KindTable, Row
from rbgctrl.sim.openapi import group_document, index, swagger

if TYPE_CHECKING:
    from rbgctrl.sim.server import ApiServer

__all__ = ["VERSION", "discover"]

VERSION: Final = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.3+embedded",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}
_HEALTH: Final = ("/healthz", "/livez", "/readyz")
_CUSTOM_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_HEADERS: Final = {"Content-Type": "application/json"}
_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}


def discover(server: ApiServer, request: ApiRequest) -> ApiResponse | None:
    """The answer to a question about the server itself; None when the path is one of objects."""
    path = request.path.rstrip("/") or "/"
    if path.startswith(_HEALTH):
        return ApiResponse(status=200, body=b"ok", headers=_TEXT)
    parts = path.strip("/").split("/")
    if len(parts) > 3 - (parts[0] == "api") and parts[0] in ("api", "apis"):
        return None
    document = _document(server.kinds, parts)
    if document is None:
        return None
    return ApiResponse(status=200, body=orjson.dumps(document), headers=_HEADERS)


def _document(kinds: KindTable, parts: list[str]) -> dict[str, Any] | None:
    groups = kinds.groups()
    match parts:
        case [""]:
            return {"paths": _paths(kinds)}
        case ["version"]:
            return dict(VERSION)
        case ["api"]:
            return {"kind": "APIVersions", "versions": list(groups.get("", ())), "serverAddressByClientCIDRs": []}
        case ["openapi", "v2"]:
            return swagger(kinds)
        case ["openapi", "v3"]:
            return index(kinds)
        case ["openapi", "v3", "api", version] if version in groups.get("", ()):
            return group_document(kinds, "", version)
        case ["openapi", "v3", "apis", group, version] if version in groups.get(group, ()):
            return group_document(kinds, group, version)
        case ["apis"]:
            listed = [_group(name, versions) for name, versions in groups.items() if name]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        case ["apis", group] if group in groups:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, groups[group])}
        case ["api", version] if version in groups.get("", ()):
            return _resources(kinds, "", version)
        case ["apis", group, version] if version in groups.get(group, ()):
            return _resources(kinds, group, version)
    return None


def _paths(kinds: KindTable) -> list[str]:
    found = ["/api", "/apis", *_HEALTH, "/openapi/v2", "/openapi/v3", "/version"]
    for group, versions in kinds.groups().items():
        found += [f"/apis/{group}"] if group else []
        found += [f"/apis/{group}/{version}" if group else f"/api/{version}" for version in versions]
    return sorted(found)


def _group(name: str, versions: tuple[str, ...]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(kinds: KindTable, group: str, version: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for row in kinds:
        if (row.kind.group, row.kind.version) == (group, version):
            found.extend(_entries(row))
    name = f"{group}/{version}" if group else version
    found.sort(key=lambda entry: str(entry["name"]))
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": found}


def _entries(row: Row) -> list[dict[str, Any]]:
    kind = row.kind
    main: dict[str, Any] = {
        "name": kind.plural,
        "singularName": row.names.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(_CUSTOM_VERBS if row.custom else _VERBS),
    }
    if row.names.short:
        main["shortNames"] = list(row.names.short)
    if row.names.categories:
        main["categories"] = list(row.names.categories)
    found = [main]
    for name in row.subresources:
        entry = {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": ["get", "patch", "update"],
        }
        if name == "scale":
            entry |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        found.append(entry)
    if kind.plural == "pods" and not kind.group:
        found.append(_create_only("pods/binding", "Binding", "", "v1"))
        found.append(_create_only("pods/eviction", "Eviction", "policy", "v1"))
    return found


def _create_only(name: str, kind: str, group: str, version: str) -> dict[str, Any]:
    entry = {"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["create"]}
    return {**entry, "group": group, "version": version} if group else entry
