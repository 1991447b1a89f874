"""Transports around a transport: dry run, recording, and intercepting for faults and crashes.

Put one around a client with ``client.with_transport(DryRun(client.transport))``. They nest in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import msgspec

from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Transport, Verb

__all__ = ["DryRun", "Intercept", "Recorded", "Recording"]

Before: TypeAlias = Callable[[ApiRequest], ApiRequest | None]
After: TypeAlias = Callable[[ApiRequest, ApiResponse], ApiResponse | None]


class _Wrapper:
    """Passes everything on."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send one request and read the whole answer."""
        return await self.inner.send(request)

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        """Open a watch."""
        return self.inner.stream(request)

    async def close(self) -> None:
        """Close the transport inside."""
        await self.inner.close()


class DryRun(_Wrapper):
    """Adds ``dryRun=All`` to every write: admission and validation run, nothing is stored."""

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send it; a write only for show."""
        if request.verb.writes and ("dryRun", "All") not in request.query:
            request = replace(request, query=(*request.query, ("dryRun", "All")))
        if request.verb is Verb.DELETE and request.body is not None:
            # A server that finds delete options in the body does not look at the query.
            options = {**msgspec.json.decode(request.body), "dryRun": ["All"]}
            request = replace(request, body=msgspec.json.encode(options))
        return await self.inner.send(request)


@dataclass(slots=True)
class Recorded:
    """A request and its outcome.

    Attributes:
        request: what was asked.
        outcome: the answer, the exception, or None while it is under way (and for an open watch).
    """

    request: ApiRequest
    outcome: ApiResponse | BaseException | None = field(default=None)


class Recording(_Wrapper):
    """Keeps every request with its outcome, in the order of sending. Answers are kept too: for tests and benchmarks.

    Attributes:
        requests: the record; clear it to start anew.
    """

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.requests: list[Recorded] = []

    def counts(self) -> Counter[tuple[Verb, str]]:
        """How many requests of each verb and kind; the kind of a raw path is the path."""
        return Counter(
            (entry.request.verb, entry.request.kind.kind if entry.request.kind else entry.request.path)
            for entry in self.requests
        )

    def writes(self) -> list[ApiRequest]:
        """The requests that change state."""
        return [entry.request for entry in self.requests if entry.request.verb.writes]

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send it and note what came of it."""
        entry = Recorded(request)
        self.requests.append(entry)
        try:
            entry.outcome = response = await self.inner.send(request)
        except BaseException as error:
            entry.outcome = error
            raise
        return response

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """Open a watch and note it."""
        entry = Recorded(request)
        self.requests.append(entry)
        try:
            async with self.inner.stream(request) as lines:
                yield lines
        except BaseException as error:
            entry.outcome = error
            raise


class Intercept(_Wrapper):
    """Calls you before and after each request; what you raise (a fault, a simulated crash) goes to the caller.

    Args:
        inner: the transport to wrap.
        before: may raise, in which case nothing is sent, or return another request to send instead.
        after: may raise, in which case the write has happened but its author never learns it, or return another answer.
            Not called for watches.
    """

    def __init__(self, inner: Transport, *, before: Before | None = None, after: After | None = None) -> None:
        super().__init__(inner)
        self._before = before
        self._after = after

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send it between the two calls."""
        request = self._replaced(request)
        response = await self.inner.send(request)
        changed = self._after(request, response) if self._after else None
        return changed or response

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """Open a watch after the first call."""
        async with self.inner.stream(self._replaced(request)) as lines:
            yield lines

    def _replaced(self, request: ApiRequest) -> ApiRequest:
        changed = self._before(request) if self._before else None
        return changed or request
