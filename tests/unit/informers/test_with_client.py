"""The real client is what informers list and watch with: the queries that reach the transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rbgctrl.api.core import ConfigMap
from rbgctrl.client import ApiRequest, ApiResponse, Client, ConnectError, InvalidError
from rbgctrl.informers import Cache, InformerOptions, ListerWatcher
from unit.informers.fake import event
from unit.informers.harness import simulate

META = {"name": "x", "namespace": "a", "uid": "u", "resourceVersion": "7"}
END = {"metadata": {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}}


class Wire:
    """A transport that answers one list and one watch, and breaks the first live watch."""

    def __init__(self, *, streams: bool) -> None:
        self.streams = streams
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def send(self, request: ApiRequest) -> ApiResponse:
        self.asked.append((request.path, dict(request.query)))
        page = {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": META}]}
        return ApiResponse(status=200, body=json.dumps(page).encode())

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[AsyncIterator[bytes]]:
        query = dict(request.query)
        self.asked.append((request.path, query))
        if "sendInitialEvents" in query and not self.streams:
            raise InvalidError(422)
        yield self._lines(query)

    async def _lines(self, query: dict[str, str]) -> AsyncIterator[bytes]:
        if "sendInitialEvents" in query:
            yield event("ADDED", {"metadata": META})
            yield event("BOOKMARK", END)
        if sum(query.get("watch") == "true" for _, query in self.asked) < 3:
            await asyncio.sleep(1)
            raise ConnectError("reset", reason="reset")
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("streams", [True, False])
def test_informers_work_on_the_real_client(*, streams: bool) -> None:
    async def test() -> None:
        wire = Wire(streams=streams)
        source: ListerWatcher = Client(wire)
        cache = Cache(source, options=InformerOptions(watch_timeout=(300, 300), page_size=50), jitter=lambda: 0.5)
        informer = cache.informer(ConfigMap, namespace="a", selector="app", field_selector="metadata.name!=y")
        task = asyncio.create_task(cache.run())
        await cache.wait_synced()
        assert [obj.metadata.name for obj in informer.store.list()] == ["x"]
        assert informer.store.rv == 9
        await asyncio.sleep(10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert {path for path, _ in wire.asked} == {"/api/v1/namespaces/a/configmaps"}
        chosen = {"labelSelector": "app", "fieldSelector": "metadata.name!=y"}
        watch = {**chosen, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "300"}
        watchlist = {**watch, "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        since = {"resourceVersion": "9"}
        listed = [] if streams else [{**chosen, "limit": "50"}, {**watch, **since}]
        probe = {**chosen, **since, "limit": "1", "resourceVersionMatch": "NotOlderThan"}
        queries = [query for _, query in wire.asked]
        assert queries[: 3 + len(listed)] == [watchlist, *listed, probe, {**watch, **since}]

    simulate(test)
