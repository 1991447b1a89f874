"""What a fault strikes: requests and watch events, addressed by meaning.

A :class:`Match` is a pattern plus a choice among what fits it: *the third patch of a pod's status*, *every tenth list*,
*one write in twenty*. Counting starts when the fault is armed, and each fault counts for itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from rbgctrl.client.transport import ApiRequest, Verb

__all__ = ["Call", "Frame", "Match", "call_of", "http_call", "read_frame"]

_GROUPS = {"write": "create|update|patch|apply|delete", "read": "get|list|watch"}
_CHANGES = "ADDED|MODIFIED|DELETED"
_END = "k8s.io/initial-events-end"
_APPLY = "application/apply-patch"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, in the words of a :class:`Match`.

    Attributes:
        verb: RBAC's word, or ``apply``.
        resource: ``plural.group``; ``""`` for a path outside the typed API.
        namespace: ``""`` for all, or for kinds without one.
        name: ``""`` for a collection.
        subresource: ``status``, ``scale`` or ``""``.
        query: parameters in order.
        owner: ``Kind/name`` of the controller named in the body; ``""`` when it names none.
        path: URL path, without query.
    """

    verb: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: tuple[tuple[str, str], ...] = ()
    owner: str = ""
    path: str = ""

    @property
    def writes(self) -> bool:
        """Whether it changes state."""
        return self.verb not in ("get", "list", "watch")

    @property
    def forms(self) -> frozenset[str]:
        """How a read is asked: see :attr:`Match.form`."""
        query = dict(self.query)
        found = set()
        if query.get("sendInitialEvents") == "true":
            found.add("initial")
        if query.get("continue"):
            found.add("page")
        if query.get("resourceVersion", "0") not in ("", "0"):
            found.add("since")
        elif not query.get("continue"):
            found.add("fresh")
        if query.get("limit") == "1":
            found.add("probe")
        return frozenset(found)

    def __str__(self) -> str:
        where = "/".join(part for part in (self.namespace, self.name) if part)
        what = f"{self.resource or self.path}/{self.subresource}" if self.subresource else self.resource or self.path
        return " ".join(part for part in (self.verb, what, where) if part)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a watch, as far as matching and reordering need it.

    Attributes:
        event: ``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK``, ``ERROR``, or ``END`` for the bookmark that ends a
            streamed list.
        namespace: of the object.
        name: of the object.
        uid: of the object.
        rv: of the object or bookmark.
        owner: ``Kind/name`` of the controller.
    """

    event: str
    namespace: str = ""
    name: str = ""
    uid: str = ""
    rv: str = ""
    owner: str = ""

    def __str__(self) -> str:
        where = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.event} {where}".rstrip() + (f" at {self.rv}" if self.rv else "")


class Match(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which requests or watch events.

    Patterns are shell globs; alternatives are separated by ``|``, and ``!`` in front means anything else. With nothing
    chosen below, all that fits is struck.

    Attributes:
        verb: as of :attr:`Call.verb`, or ``write`` or ``read`` for all such.
        resource: ``plural.group``, e.g. ``pods`` or ``roleinstances.*``.
        subresource: ``""`` means the object itself.
        namespace: of the object.
        name: of the object.
        owner: ``Kind/name`` of the object's controller; known for creates, applies and watch events.
        form: how a read is asked: ``initial`` (a watch that lists first), ``page`` (a further page of a list),
            ``since`` (names a resourceVersion), ``fresh`` (names none), ``probe`` (one object only).
        event: type of a watch event, see :attr:`Frame.event`, or ``change`` for those with an object; ``""`` addresses
            the request instead.
        nth: number, or numbers, of the occurrences struck, from 1.
        every: each occurrence whose number is a multiple of this.
        times: the first so many only.
        skip: occurrences passed over before any counting.
        probability: of striking each of the occurrences chosen, decided by the seed.
    """

    verb: str = "*"
    resource: str = "*"
    subresource: str = "*"
    namespace: str = "*"
    name: str = "*"
    owner: str = "*"
    form: str = "*"
    event: str = ""
    nth: int | tuple[int, ...] = 0
    every: int = 0
    times: int = 0
    skip: int = 0
    probability: float = 1.0

    def fits(self, call: Call, frame: Frame | None = None, event: str = "") -> bool:
        """Whether a request, or an event of the watch it opened, fits the patterns; choosing comes after.

        Args:
            call: the request.
            frame: the event; None for the request itself.
            event: the pattern of events to use when :attr:`event` is ``""``.
        """
        if not (
            _fits(_GROUPS.get(self.verb, self.verb), call.verb)
            and _fits(self.resource, call.resource)
            and _fits(self.subresource, call.subresource)
            and (self.form == "*" or any(_fits(self.form, form) for form in call.forms))
        ):
            return False
        if frame is None:
            return self._is_of(call.namespace, call.name, call.owner)
        wanted = self.event or event
        return _fits(_CHANGES if wanted == "change" else wanted, frame.event) and self._is_of(
            frame.namespace, frame.name, frame.owner
        )

    def _is_of(self, namespace: str, name: str, owner: str) -> bool:
        return _fits(self.namespace, namespace) and _fits(self.name, name) and _fits(self.owner, owner)

    def chooses(self, occurrence: int) -> bool:
        """Whether the occurrence of that number, from 1, is struck, chance aside."""
        number = occurrence - self.skip
        if number < 1 or (self.times and number > self.times):
            return False
        if self.nth:
            return number in (self.nth if isinstance(self.nth, tuple) else (self.nth,))
        return not self.every or number % self.every == 0


@lru_cache(maxsize=512)
def _pattern(globs: str) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs.split("|")))


def _fits(globs: str, text: str) -> bool:
    if globs.startswith("!"):
        return not _fits(globs[1:], text)
    return globs == "*" or _pattern(globs).match(text) is not None


# Reading requests -----------------------------------------------------------------------------------------------------


class _Owner(msgspec.Struct):
    kind: str = ""
    name: str = ""
    controller: bool = False


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    annotations: dict[str, str] | None = None
    owner_references: list[_Owner] | None = None

    @property
    def owner(self) -> str:
        found = next((owner for owner in self.owner_references or () if owner.controller), None)
        return f"{found.kind}/{found.name}" if found else ""


class _Object(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _Event(msgspec.Struct):
    type: str
    object: _Object


_object = msgspec.json.Decoder(_Object)
_event = msgspec.json.Decoder(_Event)


def call_of(request: ApiRequest) -> Call:
    """A request of the client in the words of a match."""
    meta = _meta(request.body) if request.verb in (Verb.CREATE, Verb.APPLY) else _Meta()
    return Call(
        verb=request.verb.value,
        resource=request.kind.resource if request.kind is not None else "",
        namespace=request.key.namespace,
        name=request.key.name or meta.name,
        subresource=request.subresource,
        query=request.query,
        owner=meta.owner,
        path=request.path,
    )


def http_call(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Call:
    """A request on the wire in the words of a match."""
    parameters = tuple(parse_qsl(query, keep_blank_values=True))
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return Call(verb="get" if method in ("GET", "HEAD") else method.lower(), query=parameters, path=path)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    verb = _verb(method, parameters, headers.get("Content-Type", ""), named=bool(name))
    meta = _meta(body) if verb in ("create", "apply") else _Meta()
    return Call(
        verb=verb,
        resource=f"{plural}.{group}" if group else plural,
        namespace=namespace,
        name=name or meta.name,
        subresource=subresource,
        query=parameters,
        owner=meta.owner,
        path=path,
    )


def _verb(method: str, query: tuple[tuple[str, str], ...], content_type: str, *, named: bool) -> str:
    if method in ("GET", "HEAD"):
        watching = any(name == "watch" and value in ("true", "1") for name, value in query)
        return "watch" if watching else "get" if named else "list"
    if method == "PATCH":
        return "apply" if content_type.startswith(_APPLY) else "patch"
    return {"POST": "create", "PUT": "update"}.get(method, method.lower())


def read_frame(line: bytes) -> Frame:
    """A line of a watch; whatever is no event has the type ``""``."""
    try:
        found = _event.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Frame(event="ERROR" if b'"ERROR"' in line[:40] else "")
    meta = found.object.metadata
    kind = found.type
    if kind == "BOOKMARK" and (meta.annotations or {}).get(_END) == "true":
        kind = "END"
    return Frame(
        event=kind, namespace=meta.namespace, name=meta.name, uid=meta.uid, rv=meta.resource_version, owner=meta.owner
    )


def _meta(body: Any) -> _Meta:
    try:
        return _object.decode(body or b"{}").metadata
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Meta()
