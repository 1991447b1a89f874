"""``python -m hack.pod_schema``: the schema of pod templates in our CRDs, read from what an API server publishes.

It is checked in as ``src/rbgctrl/crds/types.json``, one definition to a line, references by short name, without
descriptions; :func:`rbgctrl.crds.inlined` puts it together. Run this against the control plane of ``hack/``
(``python -m hack.controlplane up``) when ``rbgctrl.api.podtypes`` is renewed: only fields that are listed there are
taken, so that nothing is stored which the canonical bytes of revisions would lose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import orjson
import typer

from rbgctrl.api.podtypes import POD_TYPES
from rbgctrl.api.spec import TYPED
from rbgctrl.client import connect

__all__ = ["definitions", "main"]

Schema: TypeAlias = dict[str, Any]

_OUT: Final = Path(__file__).parents[1] / "src/rbgctrl/crds/types.json"
_ROOTS: Final = ("PodTemplateSpec", "Container", "Volume", "Toleration", "LabelSelector")
_EITHER: Final = {"x-kubernetes-int-or-string": True}
_QUANTITY: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
_INLINE: Final[Mapping[str, Schema]] = {"IntOrString": _EITHER, "Quantity": {**_EITHER, "pattern": _QUANTITY}}
_METADATA: Final = ("annotations", "finalizers", "labels", "name", "namespace")
"""What of metadata a template may have."""
_KEPT: Final = ("type", "format", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type")


def definitions(document: Mapping[str, Any]) -> dict[str, Schema]:
    """Definitions by short name, of everything the roots reach.

    Args:
        document: OpenAPI v3 of ``api/v1``.
    """
    schemas = {
        full.rpartition(".")[2]: schema
        for full, schema in sorted(document["components"]["schemas"].items())
        if full.startswith(("io.k8s.api.core.v1.", "io.k8s.apimachinery.pkg."))
    }
    found: dict[str, Schema] = {}
    todo = list(_ROOTS)
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = _definition(schemas[name], name)
            todo += _references(found[name])
    return dict(sorted(found.items()))


def _definition(schema: Mapping[str, Any], name: str) -> Schema:
    known = {part.split(":")[0] for part in POD_TYPES[name].split()} if name in POD_TYPES else None
    if name == "ObjectMeta":
        known = set(_METADATA)
    required = set(schema.get("required", ()))
    properties = {
        field: _node(source, default=field not in required)
        for field, source in sorted(schema.get("properties", {}).items())
        if known is None or field in known
    }
    found = {key: schema[key] for key in _KEPT if key in schema}
    if properties:
        found["properties"] = properties
    if required & properties.keys():
        found["required"] = sorted(required & properties.keys())
    return found


def _node(source: Mapping[str, Any], *, default: bool) -> Schema:
    """One field. The default of a required one is only the zero that Go would have, and ``{}`` is none at all."""
    reference = source.get("$ref") or next((item["$ref"] for item in source.get("allOf", ()) if "$ref" in item), "")
    found = {key: source[key] for key in _KEPT if key in source}
    if reference:
        name = str(reference).rpartition(".")[2]
        found |= _INLINE.get(name) or {TYPED: name}
    for key in ("items", "additionalProperties"):
        if isinstance(source.get(key), Mapping):
            found[key] = _node(source[key], default=False)
    if default and source.get("default", {}) != {}:
        found["default"] = source["default"]
    return found


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node[TYPED]] if TYPED in node else []
    return own + [name for value in node.values() for name in _references(value)]


async def _fetched(kubeconfig: str | None) -> dict[str, Schema]:
    async with connect(kubeconfig=kubeconfig) as client:
        return definitions(orjson.loads(await client.get_raw("/openapi/v3/api/v1")))


def main(
    kubeconfig: Annotated[str | None, typer.Option(help="Of the cluster to read from.")] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = _OUT,
) -> None:
    """Writes the definitions."""
    lines = [
        f"{orjson.dumps(name).decode()}:{orjson.dumps(schema).decode()}"
        for name, schema in asyncio.run(_fetched(kubeconfig)).items()
    ]
    out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
