"""Watches one manager from outside: what its informers tell, what its reconcilers see, and what it wrote.

Promises checked: per object, events come in strictly increasing versions and none twice; no two reconciles of a key
overlap; a reconcile's view holds everything its own earlier reconciles of the key wrote (the barrier's law); in the
end every store is what the server lists.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import msgspec

from rbgctrl.api.meta import Key, ObjectMeta, Resource
from rbgctrl.client.decode import decoder
from rbgctrl.client.errors import ApiError, outcome_unknown
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Transport, Verb
from rbgctrl.informers import Change, ChangeType, Informer
from rbgctrl.informers.selector import label_matcher
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.result import Reconciler, Request, Result
from rbgctrl.sim.storage import Storage

__all__ = ["Witness", "Wrote"]

_Work = tuple["Witness", str, Request]
_work: ContextVar[_Work | None] = ContextVar("rbgctrl_sim_reconcile", default=None)


@dataclass(frozen=True, slots=True)
class Wrote:
    """A write of a reconcile, until the next reconcile of the key has been seen to know of it.

    Attributes:
        request: what was sent.
        revision: of the object as written, or as it was found after the answer was lost; 0 for a delete.
        uid: of the object.
        body: of the answer; empty for deletes and lost answers.
    """

    request: ApiRequest
    revision: int
    uid: str
    body: bytes = b""


class Witness:
    """Watches a manager.

    Flow: put :meth:`transport` under the manager's client, make the manager and add its controllers, then
    :meth:`attach`, then run it.

    Args:
        name: of the process, for messages.
        storage: the truth; looked at when an answer is lost.

    Attributes:
        violations: sentences, one for each broken promise.
        reconciles: how many began.
    """

    def __init__(self, name: str, storage: Storage) -> None:
        self.name = name
        self.violations: list[str] = []
        self.reconciles = 0
        self._storage = storage
        self._informers: list[Informer[Any]] = []
        self._seen: dict[tuple[int, str], tuple[int, ChangeType]] = {}
        self._epochs: dict[int, int] = {}
        self._running: set[tuple[str, Request]] = set()
        self._wrote: dict[tuple[str, Request], list[Wrote]] = {}

    def transport(self, inner: Transport) -> Transport:
        """A transport that notes which reconcile wrote what."""
        return _Noting(inner, self)

    def attach(self, manager: Manager) -> None:
        """Watch the informers and controllers a manager has by now."""
        for informer in manager.cache.informers():
            self._informers.append(informer)
            informer.add_handler(self._listener(informer))
        for controller in manager.controllers:
            controller.reconciler = _Watched(controller, self)

    # Informers

    def _listener(self, informer: Informer[Any]) -> Any:
        number = len(self._informers)

        def listen(change: Change[Any]) -> None:
            self._told(number, informer, change)

        return listen

    def _told(self, number: int, informer: Informer[Any], change: Change[Any]) -> None:
        if change.resync:
            return
        if self._epochs.setdefault(number, informer.store.epoch) != informer.store.epoch:
            self._epochs[number] = informer.store.epoch  # the cluster went back in time: versions begin anew
            self._seen = {key: value for key, value in self._seen.items() if key[0] != number}
        meta = change.obj.metadata
        known = self._seen.get((number, meta.uid))
        rv = meta.rv
        if change.type is ChangeType.DELETED:
            if known is None or known[1] is ChangeType.DELETED:
                self._blame(f"{informer!r} told of the deletion of {meta.key} ({meta.uid}), which was not there")
            # A deletion learnt from a list has the last version known; one from a watch has its own.
            rv = max(rv, known[0] if known else 0)
        elif known is not None and rv <= known[0]:
            self._blame(f"{informer!r} told of {meta.key} at version {rv} after {known[1].value} at {known[0]}")
        self._seen[number, meta.uid] = (rv, change.type)

    def agree(self) -> None:
        """Compare every store with the truth; call it when the cluster has come to rest."""
        for informer in self._informers:
            held = {obj.metadata.key: (obj.metadata.uid, obj.metadata.rv) for obj in _everything(informer)}
            true = {meta.key: (meta.uid, meta.rv) for meta in self._listed(informer)}
            if held != true:
                wrong = sorted(str(key) for key in held.keys() | true.keys() if held.get(key) != true.get(key))
                self._blame(f"in the end {informer!r} is wrong about {', '.join(wrong)}")

    def _listed(self, informer: Informer[Any]) -> list[ObjectMeta]:
        matches = label_matcher(informer.label_selector)
        metas = [
            msgspec.convert(obj["metadata"], ObjectMeta, strict=False)
            for namespace in informer.namespaces
            for obj in self._storage.list(informer.kind.KIND.resource, namespace)
        ]
        return [meta for meta in metas if matches(meta.labels)]

    # Reconciles

    def began(self, controller: Controller, request: Request) -> None:
        """A reconcile begins."""
        self.reconciles += 1
        key = (controller.name, request)
        if key in self._running:
            self._blame(f"two reconciles of {controller.name} {request} at once")
        self._running.add(key)
        for wrote in self._wrote.pop(key, ()):
            for informer in self._informers:
                if wrote.request.kind == informer.kind.KIND and not _shown(informer, wrote):
                    self._blame(f"{controller.name} {request} was reconciled without seeing its own {wrote.request}")

    def ended(self, controller: Controller, request: Request) -> None:
        """A reconcile has ended."""
        self._running.discard((controller.name, request))

    # Writes

    def wrote(self, request: ApiRequest, response: ApiResponse | BaseException) -> None:
        """A write of a reconcile was answered, or its answer was lost."""
        work = _work.get()
        if work is None or work[0] is not self or request.kind is None:
            return
        found = self._noted(request, response)
        if found is not None:
            self._wrote.setdefault(work[1:], []).append(found)

    def _noted(self, request: ApiRequest, response: ApiResponse | BaseException) -> Wrote | None:
        assert request.kind is not None  # noqa: S101 - checked by the caller
        if isinstance(response, ApiResponse):
            meta = _metadata(response.body)
            uid = str(meta.get("uid", ""))
            if request.verb is Verb.DELETE:
                return Wrote(request, 0, uid or _details_uid(response.body))
            return Wrote(request, int(meta.get("resourceVersion", "0")), uid, response.body)
        if isinstance(response, ApiError):
            stored = self._storage.get(request.kind.resource, request.key)
            if stored is None or not outcome_unknown(response):
                return None
            meta = stored["metadata"]  # the body tells which informers would show it
            return Wrote(request, int(meta["resourceVersion"]), meta["uid"], msgspec.json.encode(stored))
        return None

    def _blame(self, sentence: str) -> None:
        self.violations.append(f"{self.name}: {sentence}")


class _Watched:
    """A reconciler whose comings and goings are noted."""

    def __init__(self, controller: Controller, witness: Witness) -> None:
        self._controller = controller
        self._inner: Reconciler = controller.reconciler
        self._witness = witness

    async def reconcile(self, request: Request) -> Result:
        _work.set((self._witness, self._controller.name, request))
        self._witness.began(self._controller, request)
        try:
            return await self._inner.reconcile(request)
        finally:
            self._witness.ended(self._controller, request)


class _Noting:
    def __init__(self, inner: Transport, witness: Witness) -> None:
        self.inner = inner
        self._witness = witness

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send it and note what came of a write."""
        if not request.verb.writes:
            return await self.inner.send(request)
        try:
            response = await self.inner.send(request)
        except BaseException as error:
            self._witness.wrote(request, error)
            raise
        self._witness.wrote(request, response)
        return response

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        """Open a watch."""
        return self.inner.stream(request)

    async def close(self) -> None:
        """Close the transport inside."""
        await self.inner.close()


def _shown(informer: Informer[Any], wrote: Wrote) -> bool:
    """Whether an informer shows a write: by the object's version, by progress beyond it, or as none of its business."""
    store = informer.store
    key = _key(wrote)
    held = store.get(key) or store.invalid(key)
    if wrote.request.verb is Verb.DELETE and not wrote.revision:
        return held is None or held.metadata.uid != wrote.uid or held.metadata.deleting
    if store.progress(key.namespace) >= wrote.revision:
        return True
    if held is not None:
        return held.metadata.rv >= wrote.revision
    return bool(wrote.body) and not informer.matches(_decoded(informer.kind, wrote.body))


def _key(wrote: Wrote) -> Key:
    meta = _metadata(wrote.body) if wrote.body else {}
    return Key(meta.get("namespace", wrote.request.key.namespace), meta.get("name", wrote.request.key.name))


def _decoded(kind: type[Resource], body: bytes) -> Any:
    return decoder(kind).one(body)


def _everything(informer: Informer[Any]) -> list[Any]:
    return [*informer.store.list(), *informer.store.invalids()]


def _metadata(body: bytes) -> dict[str, Any]:
    found = msgspec.json.decode(body)
    return dict(found.get("metadata") or {}) if isinstance(found, dict) else {}


def _details_uid(body: bytes) -> str:
    found = msgspec.json.decode(body)
    return str((found.get("details") or {}).get("uid", "")) if isinstance(found, dict) else ""
