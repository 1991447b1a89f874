r"""From the server's JSON to frozen values, in one pass and without trusting it.

A kind is a :class:`~rbgctrl.api.meta.Resource`; its fields may be Structs, ``msgspec.Raw`` (kept as JSON bytes) or
pydantic models. An object that does not fit its kind becomes an :class:`Invalid` that keeps its metadata, so one bad
object never hides the others.

Caveats: ``Raw`` fields are copied out of the line they came in, otherwise a cached object would keep the whole line
alive. A pydantic field costs about four times a Struct of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from rbgctrl.api.meta import Key, ObjectMeta, Resource
from rbgctrl.client.errors import ApiStatusError, ResponseError, UndecodableError
from rbgctrl.client.raw import Copier, raw_copier
from rbgctrl.client.status import class_of, decode_status

__all__ = ["Bookmark", "Decoder", "ErrorStatus", "Invalid", "Page", "WatchEvent", "decode_event", "decoder"]

R = TypeVar("R", bound=Resource)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ERROR_SHOWN = 1000
_CHANGES = frozenset(("ADDED", "MODIFIED", "DELETED"))
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Invalid(msgspec.Struct, frozen=True, gc=False):
    """An object that does not decode as its kind: who it is, and what is wrong with it."""

    metadata: ObjectMeta
    error: str

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.metadata.key

    @property
    def uid(self) -> str:
        """``metadata.uid``."""
        return self.metadata.uid


class Bookmark(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A BOOKMARK event: how far the watch has come, without an object."""

    resource_version: str = ""
    annotations: dict[str, str] = {}

    @property
    def initial_events_end(self) -> bool:
        """Whether the streamed initial list is complete."""
        return self.annotations.get(_INITIAL_EVENTS_END) == "true"


class ErrorStatus(msgspec.Struct, frozen=True, gc=False):
    """An ERROR event: the server ends the watch and says why.

    Attributes:
        code: as of an HTTP status; 410 means list again.
        reason: of the ``Status``, e.g. ``Expired``.
        message: the server's sentence.
        causes: reasons of ``details.causes``.
        retry_after: seconds to wait, or None.
    """

    code: int
    reason: str = ""
    message: str = ""
    causes: tuple[str, ...] = ()
    retry_after: float | None = None

    def to_error(self, what: str = "") -> ApiStatusError:
        """The exception the same ``Status`` would have been as an HTTP answer."""
        cls = class_of(self.code, self.reason)
        return cls(self.code, self.reason, self.message, causes=self.causes, retry_after=self.retry_after, what=what)


class WatchEvent(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """One line of a watch; see :data:`Said` for what may be in it.

    Attributes:
        type: ``ADDED``, ``MODIFIED``, ``DELETED`` (then ``object`` is the kind or Invalid), ``BOOKMARK`` or ``ERROR``.
        object: what the type says.
    """

    type: str
    object: T_co


Said: TypeAlias = R | Invalid | Bookmark | ErrorStatus
"""What a line of a watch is about."""


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Objects of one list answer.

    Attributes:
        items: those that decode, in the server's order.
        invalid: those that do not.
        resource_version: of the list; where a watch may start.
        continue_token: ``""`` on the last page.
    """

    items: tuple[R, ...]
    invalid: tuple[Invalid, ...]
    resource_version: str
    continue_token: str


class _ListMeta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, Generic[T], frozen=True, gc=False):
    # Both are required: an unrelated JSON object must never pass for an empty list.
    metadata: _ListMeta
    items: tuple[T, ...] | None


class _Identity(msgspec.Struct, frozen=True, gc=False):
    metadata: ObjectMeta


class _BookmarkObject(msgspec.Struct, frozen=True, gc=False):
    metadata: Bookmark


class _TypeMeta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    api_version: str = ""
    kind: str = ""


_raw_event = msgspec.json.Decoder(WatchEvent[msgspec.Raw])
_raw_list = msgspec.json.Decoder(_List[msgspec.Raw])
_identity = msgspec.json.Decoder(_Identity)
_bookmark = msgspec.json.Decoder(_BookmarkObject)
_type_meta = msgspec.json.Decoder(_TypeMeta)

Bytes: TypeAlias = bytes | bytearray | msgspec.Raw


class Decoder(Generic[R]):
    """Decodes one kind. Get it from :func:`decoder`, which builds each only once."""

    def __init__(self, kind: type[R]) -> None:
        self.kind = kind
        self._one = msgspec.json.Decoder(kind, dec_hook=_pydantic)
        self._list = msgspec.json.Decoder(_List[kind], dec_hook=_pydantic)  # type: ignore[valid-type]  # a runtime parameter
        self._event = msgspec.json.Decoder(WatchEvent[kind], dec_hook=_pydantic)  # type: ignore[valid-type]  # the same
        self._copy: Copier | None = raw_copier(kind)

    def one(self, data: Bytes) -> R | Invalid:
        """One object.

        Raises:
            ResponseError: it is not JSON, or has no readable metadata.
        """
        try:
            obj = self._one.decode(data)
        except _MALFORMED as error:
            return self._invalid(data, error)
        if self._copy is not None:
            self._copy(obj)
        return obj

    def valid(self, data: Bytes, what: object = "") -> R:
        """One object that must decode.

        Raises:
            UndecodableError: it does not fit the kind; ``what`` (a request, say) starts the message.
            ResponseError: it is not JSON, or has no readable metadata.
        """
        obj = self.one(data)
        if isinstance(obj, Invalid):
            message = f"{what or self.kind.KIND}: the answer does not decode: {obj.error}"
            raise UndecodableError(message, metadata=obj.metadata, error=obj.error)
        return obj

    def object_or_status(self, data: Bytes, what: object = "") -> R | None:
        """The object a delete answered with, or None when the answer is a ``Status``. Raises as :meth:`valid` does."""
        try:
            meta = _type_meta.decode(data)
        except _MALFORMED as error:
            self._garbage(error)
        return None if (meta.kind, meta.api_version) == ("Status", "v1") else self.valid(data, what)

    def list(self, data: Bytes) -> Page[R]:
        """One page of a list; items that do not fit land in ``invalid``.

        Raises:
            ResponseError: it is not a list, or an item has no readable metadata.
        """
        try:
            found = self._list.decode(data)
        except msgspec.ValidationError:
            return self._list_one_by_one(data)
        except _MALFORMED as error:
            self._garbage(error)
        items: tuple[R, ...] = found.items or ()
        if self._copy is not None:
            for item in items:
                self._copy(item)
        return Page(items, (), found.metadata.resource_version, found.metadata.continue_)

    def event(self, line: Bytes) -> WatchEvent[Said[R]]:
        """One line of a watch.

        Raises:
            ResponseError: it is not JSON, not an event, of an unknown type, or its object has no readable metadata.
        """
        # One pass when the object fits, which is nearly always; an ERROR may fit by chance, so it is never read so.
        try:
            found: WatchEvent[R] = self._event.decode(line)
        except _MALFORMED:
            return self._other_event(line)
        if found.type not in _CHANGES:
            return self._other_event(line)
        if self._copy is not None:
            self._copy(found.object)
        return found

    def _other_event(self, line: Bytes) -> WatchEvent[Said[R]]:
        """A bookmark, an error, or an object that does not fit."""
        try:
            found = _raw_event.decode(line)
            if found.type == "BOOKMARK":
                return WatchEvent(found.type, _bookmark.decode(found.object).metadata)
        except _MALFORMED as error:
            self._garbage(error)
        if found.type == "ERROR":
            return WatchEvent(found.type, self._error_status(found.object))
        if found.type not in _CHANGES:
            raise ResponseError(f"watch of {self.kind.KIND}: unknown event type {found.type[:40]!r}")
        return WatchEvent(found.type, self.one(found.object))

    def _error_status(self, data: msgspec.Raw) -> ErrorStatus:
        status = decode_status(data)
        if status is None:
            raise ResponseError(f"watch of {self.kind.KIND}: an ERROR event without a Status")
        return ErrorStatus(status.code, status.reason, status.message[:_ERROR_SHOWN], status.causes, status.retry_after)

    def _list_one_by_one(self, data: Bytes) -> Page[R]:
        try:
            found = _raw_list.decode(data)
        except _MALFORMED as error:
            self._garbage(error)
        objects = [self.one(item) for item in found.items or ()]
        return Page(
            tuple(item for item in objects if not isinstance(item, Invalid)),
            tuple(item for item in objects if isinstance(item, Invalid)),
            found.metadata.resource_version,
            found.metadata.continue_,
        )

    def _invalid(self, data: Bytes, reason: Exception) -> Invalid:
        try:
            return Invalid(_identity.decode(data).metadata, str(reason)[:_ERROR_SHOWN])
        except _MALFORMED as error:
            self._garbage(error)

    def _garbage(self, error: Exception) -> NoReturn:
        raise ResponseError(f"the server's answer is not a {self.kind.KIND}: {str(error)[:200]}") from error


_decoders: dict[type[Resource], Decoder[Any]] = {}


def decoder(kind: type[R]) -> Decoder[R]:
    """The decoder of a kind, built at its first use."""
    found = _decoders.get(kind)
    if found is None:
        found = _decoders[kind] = Decoder(kind)
    return found


def decode_event(kind: type[R], line: Bytes) -> WatchEvent[Said[R]]:
    """One line of a watch of ``kind``; see :meth:`Decoder.event`."""
    return decoder(kind).event(line)


def _pydantic(expected: type[Any], value: Any) -> Any:
    """Validates fields whose type is a pydantic model; messages name the place but never repeat the input."""
    if not issubclass(expected, BaseModel):
        raise NotImplementedError(f"{expected.__name__} is neither a Struct nor a pydantic model")
    try:
        return expected.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        places = (f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in found)
        raise ValueError("; ".join(places)[:_ERROR_SHOWN]) from None
