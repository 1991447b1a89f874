"""Keeps a process that may not be the leader any more from writing."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

from rbgctrl.api.core import Lease
from rbgctrl.api.meta import Key
from rbgctrl.client.errors import ApiError
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Transport

__all__ = ["Fence", "Fenced", "NotLeaderError"]


class NotLeaderError(ApiError):
    """A write was refused before it was sent, because this process may not be the leader any more. Do not retry."""


class Fence(Protocol):
    """Something that knows whether writing is allowed: a :class:`~rbgctrl.runtime.leader.LeaseElector`."""

    @property
    def key(self) -> Key:
        """Namespace and name of the lease, which may always be written."""
        ...

    def fence(self) -> None:
        """Pass, or raise NotLeaderError. Cheap and synchronous."""
        ...


class Fenced:
    """A transport that asks a fence before each write; reads and the fence's own lease pass.

    It asks at once, and again when the write has waited for its slot and its connection and is about to leave: a
    process can be stopped at any point in between.

    Raises:
        NotLeaderError: from :meth:`send`, instead of sending a write.
    """

    def __init__(self, transport: Transport, fence: Fence) -> None:
        self.inner = transport
        self._fence = fence

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send unless it is a write and the fence refuses."""
        if request.verb.writes and not self._is_lease(request):
            self._fence.fence()
            request = replace(request, guard=self._fence.fence)
        return await self.inner.send(request)

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        """Open a watch."""
        return self.inner.stream(request)

    async def close(self) -> None:
        """Close the wrapped transport."""
        await self.inner.close()

    def _is_lease(self, request: ApiRequest) -> bool:
        return request.kind == Lease.KIND and request.key == self._fence.key
