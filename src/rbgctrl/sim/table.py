"""Other shapes of the same objects: tables for ``kubectl get``, and metadata alone."""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from rbgctrl.client.transport import ApiRequest, ApiResponse
from rbgctrl.sim.call import locate
from rbgctrl.sim.kinds import Column, Row
from rbgctrl.sim.status import Refusal
from rbgctrl.sim.storage import Obj

if TYPE_CHECKING:
    from rbgctrl.sim.server import ApiServer

__all__ = ["Shape", "age", "reshaped", "reshaped_line", "shape_of"]

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[\?\(@\.([^=\s]+)\s*==\s*[\"']([^\"']*)[\"']\)\]|\[(\d+|\*)\]|\['([^']+)'\]")
_HEADERS: Final = {"Content-Type": "application/json"}


class Shape(Enum):
    """What a client wants to see of objects."""

    OBJECT = "object"
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


def shape_of(accept: str) -> Shape | None:
    """The first shape of an ``Accept`` header that can be served; None when there is none."""
    if not accept:
        return Shape.OBJECT
    for choice in accept.split(","):
        kind, *parameters = (part.strip() for part in choice.split(";"))
        options = dict(part.split("=", 1) for part in parameters if "=" in part)
        if kind not in ("application/json", "*/*", "application/*", "application/yaml"):
            continue
        wanted = options.get("as", "")
        if not wanted:
            return Shape.OBJECT
        if options.get("g") == "meta.k8s.io" and options.get("v") == "v1":
            if wanted == "Table":
                return Shape.TABLE
            if wanted.startswith("PartialObjectMetadata"):
                return Shape.METADATA
    return None


def reshaped(server: ApiServer, request: ApiRequest, response: ApiResponse, shape: Shape) -> ApiResponse:
    """An answer in another shape; answers that are no objects stay as they are."""
    if response.status >= 400:
        return response
    try:
        row, _, subresource = locate(server.kinds, request.path)
    except Refusal:
        return response
    body = orjson.loads(response.body)
    if subresource not in ("", "status") or body.get("kind") == "Status":
        return response
    include = dict(request.query).get("includeObject", "")
    found = _reshape(server, row, body, shape, include=include)
    return ApiResponse(status=response.status, body=orjson.dumps(found), headers=_HEADERS)


def reshaped_line(server: ApiServer, row: Row, line: bytes, shape: Shape, *, headings: bool) -> bytes:
    """A watch line in another shape. Only the first table of a watch has ``headings``."""
    event = orjson.loads(line)
    if event["type"] == "ERROR":
        return line
    body = _reshape(server, row, event["object"], shape)
    if shape is Shape.TABLE and not headings:
        body["columnDefinitions"] = None
    return orjson.dumps({"type": event["type"], "object": body}) + b"\n"


def _reshape(server: ApiServer, row: Row, body: Obj, shape: Shape, *, include: str = "") -> Obj:
    if shape is Shape.TABLE:
        return _table(server, row, body, include)
    if "items" in body:
        items = [_partial(item) for item in body["items"]]
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return {**head, "metadata": body["metadata"], "items": items}
    return _partial(body)


def _partial(obj: Obj) -> Obj:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


# Tables ---------------------------------------------------------------------------------------------------------------


def _table(server: ApiServer, row: Row, body: Obj, include: str) -> Obj:
    columns = (
        Column(name="Name"),
        *(row.columns or (Column(name="Age", path=".metadata.creationTimestamp", type="date"),)),
    )
    objects = body.get("items", [body])
    head = {"kind": row.kind.kind, "apiVersion": row.kind.api_version}
    now = server.now()
    rows = []
    for obj in objects:
        cells = [obj["metadata"].get("name", ""), *(_cell(column, obj, now) for column in columns[1:])]
        entry: Obj = {"cells": cells}
        if include != "None":
            # Items of a list do not say what they are, objects of a table do.
            entry["object"] = {**head, **obj} if include == "Object" else _partial(obj)
        rows.append(entry)
    metadata = body["metadata"] if "items" in body else {"resourceVersion": body["metadata"].get("resourceVersion", "")}
    definitions = [
        {
            "name": column.name,
            "type": column.type if column.type != "date" else "string",
            "format": "name" if index == 0 else "",
            "description": column.path or column.name,
            "priority": column.priority,
        }
        for index, column in enumerate(columns)
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _cell(column: Column, obj: Obj, now: datetime) -> Any:
    if column.value is not None:
        return column.value(obj)
    found = _find(obj, column.path)
    if column.type == "date":
        return age(found, now)
    if found is None:
        return "" if column.type == "string" else None
    return str(found) if column.type == "string" and not isinstance(found, str) else found


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[tuple[str, ...], ...]:
    return tuple(match.groups(default="") for match in _STEP.finditer(path))


def _find(obj: Any, path: str) -> Any:
    """The first value at a JSONPath: fields, indexes, and filters by equality."""
    for field, key, value, index, quoted in _steps(path):
        name = field or quoted
        if name:
            obj = obj.get(name) if isinstance(obj, dict) else None
        elif key:
            items = obj if isinstance(obj, list) else []
            obj = next((item for item in items if isinstance(item, dict) and str(item.get(key)) == value), None)
        elif isinstance(obj, list):
            number = 0 if index == "*" else int(index)
            obj = obj[number] if number < len(obj) else None
        else:
            obj = None
        if obj is None:
            return None
    return obj


def age(timestamp: Any, now: datetime) -> str:
    """How long ago, as kubectl says it: ``5m30s``, ``3h``, ``7d``."""
    if not isinstance(timestamp, str):
        return "<unknown>"
    seconds = max(int((now - datetime.fromisoformat(timestamp)).total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 365 * 2 else f"{days // 365}y"
