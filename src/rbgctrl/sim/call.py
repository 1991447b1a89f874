"""One request, taken apart: which kind, which object, which options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from rbgctrl.api.meta import Key
from rbgctrl.client.transport import ApiRequest
from rbgctrl.sim.kinds import KindTable, Row
from rbgctrl.sim.managed import APPLY, UPDATE, Manager
from rbgctrl.sim.status import (
    Cause,
    PageNotFound,
    Refusal,
    bad_request,
    invalid,
    no_such_path,
    not_implemented,
    unsupported_media,
)
from rbgctrl.sim.storage import Obj

__all__ = ["APPLY_TYPES", "Call", "Write", "body_of", "locate"]

APPLY_TYPES: Final = ("application/apply-patch+yaml", "application/apply-patch+json")
_VALIDATIONS: Final = ("Strict", "Warn", "Ignore")
_OF_NAMESPACES: Final = ("status", "finalize")
_OWN_GROUPS: Final = ("", "apps", "coordination.k8s.io", "discovery.k8s.io", "apiextensions.k8s.io")
UNUSED: Final[Mapping[str, tuple[str, ...]]] = {
    "": (
        "bindings",
        "componentstatuses",
        "limitranges",
        "persistentvolumeclaims",
        "persistentvolumes",
        "podtemplates",
        "replicationcontrollers",
        "resourcequotas",
    ),
    "apps": ("daemonsets",),
    "coordination.k8s.io": ("leasecandidates",),
    "admissionregistration.k8s.io": (),
    "apiregistration.k8s.io": (),
    "authentication.k8s.io": (),
    "authorization.k8s.io": (),
    "autoscaling": (),
    "batch": (),
    "certificates.k8s.io": (),
    "events.k8s.io": (),
    "flowcontrol.apiserver.k8s.io": (),
    "networking.k8s.io": (),
    "node.k8s.io": (),
    "policy": (),
    "rbac.authorization.k8s.io": (),
    "resource.k8s.io": (),
    "scheduling.k8s.io": (),
    "storage.k8s.io": (),
}
"""Resources by group that real servers have and nothing here needs; no names mean all of the group."""

_MANAGER_MAX: Final = 128


class Write(NamedTuple):
    """How a write is to be done.

    Attributes:
        manager: who is recorded as the owner of what changes.
        dry_run: everything but storing.
        strict: unknown fields are refused instead of dropped.
        warn: unknown fields are reported in ``Warning`` headers.
    """

    manager: Manager
    dry_run: bool = False
    strict: bool = False
    warn: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A request to a resource.

    Attributes:
        row: the kind.
        key: the object; its name is ``""`` for collections.
        subresource: ``""`` for the object itself.
        query: parameters; of repeated ones the last.
        request: the request.
        user: who sent it.
        agent: its user agent, the default field manager.
    """

    row: Row
    key: Key
    subresource: str
    query: Mapping[str, str]
    request: ApiRequest
    user: str
    agent: str

    def flag(self, name: str) -> bool:
        """A boolean parameter."""
        return self.query.get(name, "") in ("true", "1", "True", "TRUE", "t", "T")

    def write(self, *, apply: bool = False) -> Write:
        """The options of a write.

        Raises:
            Refusal: 422, an option has no such value.
        """
        dry_run = self.query.get("dryRun", "")
        if dry_run not in ("", "All"):
            message = f'Unsupported value: ["{dry_run}"]: supported values: "All"'
            cause = Cause("FieldValueNotSupported", message, "dryRun")
            raise _options(self.request.method, [cause])
        validation = self.query.get("fieldValidation", "") or "Warn"
        if validation not in _VALIDATIONS:
            message = f'Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"'
            raise _options(self.request.method, [Cause("FieldValueNotSupported", message, "fieldValidation")])
        name = self.query.get("fieldManager", "")
        if apply and not name:
            raise _options(
                "PATCH", [Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")]
            )
        if not apply and self.request.method == "PATCH" and "force" in self.query:
            message = "Forbidden: may not be specified for non-apply patch"
            raise _options("PATCH", [Cause("FieldValueForbidden", message, "force")])
        if len(name) > _MANAGER_MAX:
            message = f"Too long: may not be more than {_MANAGER_MAX} bytes"
            raise _options(self.request.method, [Cause("FieldValueTooLong", message, "fieldManager")])
        manager = Manager(
            name or self.agent.partition("/")[0] or "unknown",
            APPLY if apply else UPDATE,
            self.row.kind.api_version,
            self.subresource,
        )
        return Write(
            manager=manager, dry_run=dry_run == "All", strict=validation == "Strict", warn=validation == "Warn"
        )


def _options(method: str, causes: list[Cause]) -> Refusal:
    kind = {"POST": "CreateOptions", "PUT": "UpdateOptions", "DELETE": "DeleteOptions"}.get(method, "PatchOptions")
    listed = str(causes[0]) if len(causes) == 1 else f"[{', '.join(map(str, causes))}]"
    return Refusal(
        422,
        "Invalid",
        f'{kind}.meta.k8s.io "" is invalid: {listed}',
        details={"group": "meta.k8s.io", "kind": kind},
        causes=causes,
    )


def locate(kinds: KindTable, path: str) -> tuple[Row, Key, str]:
    """The kind, object and subresource a path names.

    Raises:
        Refusal: 404, there is no such resource; 501, there is one in real clusters that nothing here needs.
    """
    parts = path.strip("/").split("/")
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise _absent(parts[1] if parts[0] == "apis" and len(parts) > 1 else parts[0], "")
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and (len(rest) > 3 or rest[2] not in _OF_NAMESPACES):
        namespace, rest = rest[1], rest[2:]
    row = kinds.find(group, version, rest[0])
    if row is None:
        raise _absent(group, rest[0])
    if len(rest) > 3 or (namespace and not row.kind.namespaced):
        raise no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    if name and row.kind.namespaced and not namespace:
        raise no_such_path()
    return row, Key(namespace, name), rest[2] if len(rest) > 2 else ""


def _absent(group: str, plural: str) -> Refusal:
    if plural in UNUSED.get(group, ()) or (plural and UNUSED.get(group) == ()):
        return not_implemented(f"{plural}.{group}" if group else plural)
    return no_such_path() if group in _OWN_GROUPS else PageNotFound()


def body_of(call: Call) -> Any:
    """The request's body as JSON values.

    Raises:
        Refusal: 400, it is none; 415, it is of another type.
    """
    request = call.request
    if not request.body:
        raise _unreadable(call, "unexpected end of JSON input (<empty>)")
    base = request.content_type.partition(";")[0].strip()
    if base in ("application/yaml", *APPLY_TYPES) and request.body.lstrip()[:1] not in (b"{", b"["):
        return _yaml(request.body)
    if request.method != "PATCH" and base not in ("application/json", "", "application/yaml"):
        raise unsupported_media(("application/json",))
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise _unreadable(call, str(error)) from None


def _unreadable(call: Call, why: str) -> Refusal:
    if call.request.method == "PATCH":
        return bad_request(f"error decoding patch: {why}")
    kind = call.row.kind.kind
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: "
        f"{why}"
    )


def _yaml(body: bytes) -> Any:
    import yaml  # noqa: PLC0415 - only people send YAML

    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from None


def typed(call: Call, body: Any) -> Obj:
    """``body`` as an object of the call's kind: right kind, name and namespace, metadata there.

    Raises:
        Refusal: 400, it is something else.
    """
    kind = call.row.kind
    if not isinstance(body, dict):
        raise bad_request("the object provided is not a JSON object")
    given_version, given_kind = body.get("apiVersion") or kind.api_version, body.get("kind") or kind.kind
    if call.row.custom and given_version == kind.api_version and given_kind != kind.kind:
        cause = Cause("FieldValueInvalid", f'Invalid value: "{given_kind}": must be {kind.kind}', "kind")
        raise invalid(given_kind, kind.group, str((body.get("metadata") or {}).get("name", "")), [cause])
    if (given_version, given_kind) != (kind.api_version, kind.kind):
        message = _mismatch(call.row, given_version, given_kind)
        raise bad_request(message)
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise bad_request("metadata must be an object")
    metadata = dict(metadata or {})
    if call.key.name:
        given = metadata.setdefault("name", call.key.name)
        if given != call.key.name:
            raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({call.key.name})")
    if kind.namespaced:
        given = metadata.get("namespace") or call.key.namespace
        if given != call.key.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        metadata["namespace"] = call.key.namespace
    else:
        metadata.pop("namespace", None)
    rest = {name: item for name, item in body.items() if name not in ("kind", "apiVersion", "metadata")}
    return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata, **rest}


def _mismatch(row: Row, version: str, name: str) -> str:
    kind = row.kind
    if row.custom:
        return f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
    short = version.rpartition("/")[2]
    start = f'{name} in version "{short}" cannot be handled as a {kind.kind}: '
    if name == kind.kind:
        return f'{start}no kind "{name}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
    return f"{start}converting ({version}.{name}) to ({kind.group or 'core'}.{kind.kind}): unknown conversion"
