"""The HTTPS server of the webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

import structlog
from aiohttp import web

from rbgctrl.api.admission import AdmissionOptions
from rbgctrl.runtime.probes import Address
from rbgctrl.webhooks.numbers import WebhookMetrics
from rbgctrl.webhooks.reviews import VALIDATED, AdapterLookup, Answer, admit, answer_conversion
from rbgctrl.webhooks.serving import ServingContext

__all__ = ["CONVERT_PATH", "PATHS", "WebhookServer", "validate_path"]

log = structlog.get_logger(__name__)

CONVERT_PATH: Final = "/convert"
_Review: TypeAlias = Callable[[bytes], Awaitable[Answer]]
_CONVERSION_MAX: Final = 256 * 2**20  # a whole page of a list comes at once
_ADMISSION_MAX: Final = 16 * 2**20  # two objects of the largest size the API server takes, and room
_THREAD_BYTES: Final = 256 * 1024


def validate_path(kind: str) -> str:
    """Where objects of a kind are validated."""
    return f"/validate-workloads-x-k8s-io-v1alpha2-{kind.lower()}"


PATHS: Final = (CONVERT_PATH, *(validate_path(kind) for kind in VALIDATED))
"""Everything that is served."""


class WebhookServer:
    """Answers reviews.

    Args:
        address: where to listen.
        tls: with which certificate; it has to be loaded before the server starts.
        options: what admission allows.
        adapters: tells what scaling adapters want.
        metrics: where to count.

    Attributes:
        port: in use; None while it does not listen.
    """

    def __init__(
        self,
        address: Address,
        tls: ServingContext,
        *,
        options: AdmissionOptions,
        adapters: AdapterLookup,
        metrics: WebhookMetrics,
    ) -> None:
        self.port: int | None = None
        self._address = address
        self._tls = tls
        self._metrics = metrics
        self._runner: web.AppRunner | None = None
        self._app = web.Application(client_max_size=_CONVERSION_MAX)
        self._route(CONVERT_PATH, _convert)
        for kind in VALIDATED:
            self._route(validate_path(kind), partial(_admit, kind, options, adapters))

    def _route(self, path: str, answer: _Review) -> None:
        largest = _CONVERSION_MAX if path == CONVERT_PATH else _ADMISSION_MAX

        async def handle(request: web.Request) -> web.Response:
            with self._metrics.request(path, asyncio.get_running_loop().time) as outcome:
                if (request.content_length or 0) > largest:
                    outcome(413)
                    raise web.HTTPRequestEntityTooLarge(max_size=largest, actual_size=request.content_length or 0)
                found = await answer(await request.read())
                outcome(found.code)
            return web.Response(body=found.body, status=found.status, content_type="application/json")

        self._app.router.add_post(path, handle)

    async def start(self) -> None:
        """Listen; ``port`` is set afterwards.

        Raises:
            ListenError: the address cannot be used.
        """
        sock = self._address.listen()
        runner = web.AppRunner(self._app, access_log=None, handle_signals=False, shutdown_timeout=5.0)
        try:
            await runner.setup()
            await web.SockSite(runner, sock, ssl_context=self._tls.context).start()
        except BaseException:
            sock.close()
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = sock.getsockname()[1]
        log.info("serving", what="webhooks", address=str(self._address), port=self.port)

    async def stop(self) -> None:
        """Answer what was asked, then close; safe to call twice."""
        runner, self._runner = self._runner, None
        self.port = None
        if runner is None:
            return
        kept = [connection.transport for connection in runner.server.connections] if runner.server is not None else []
        await runner.cleanup()
        for transport in kept:
            if transport is not None:  # would wait half a minute for the caller's part of the TLS shutdown
                transport.abort()
        await asyncio.sleep(0)  # in which they close


async def _convert(body: bytes) -> Answer:
    if len(body) > _THREAD_BYTES:
        return await asyncio.to_thread(answer_conversion, body)
    return answer_conversion(body)


async def _admit(kind: str, options: AdmissionOptions, adapters: AdapterLookup, body: bytes) -> Answer:
    return await admit(kind, body, options, adapters)
