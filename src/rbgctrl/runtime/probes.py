"""The small HTTP servers of a controller: ``/healthz``, ``/readyz`` and ``/metrics``.

Answers look like those of Kubernetes' own components: ``ok``, or with ``?verbose`` one line for each check, and a
status of 500 when one fails. ``/readyz/<check>`` asks a single check and ``?exclude=<check>`` leaves one out.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import structlog
from aiohttp import web

__all__ = ["Address", "Check", "Exposition", "ListenError", "ProbeServer", "ProbeServers", "ask"]

log = structlog.get_logger(__name__)

Check: TypeAlias = Callable[[], str]
"""Answers ``""`` when all is well, otherwise one sentence on what is not. One that raises counts as failed."""

Exposition: TypeAlias = Callable[[str], tuple[bytes, str]]
"""Given an ``Accept`` header, the metrics page and its content type."""


class ListenError(Exception):
    """An address cannot be listened on: taken, not ours, or not permitted. Raised before anything is served."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, in Go's notation.

    Attributes:
        host: ``""`` for every interface, IPv4 and IPv6.
        port: 0 for any free one; None when nothing shall be served.
    """

    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``":8080"``, ``"127.0.0.1:0"`` or ``"[::1]:8080"``; ``"0"`` and ``""`` mean off.

        Raises:
            ValueError: anything else.
        """
        if text in ("", "0"):
            return cls("", None)
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        numeric = port.isascii() and port.isdigit() and int(port) <= 65535
        if not colon or not numeric or (":" in host and not bracketed):
            msg = f'{text!r} is not an address to listen on; write for example ":8080", "127.0.0.1:8080" or "0" for off'
            raise ValueError(msg)
        return cls(host[1:-1] if bracketed else host, int(port))

    def listen(self) -> socket.socket:
        """A listening socket.

        Raises:
            ListenError: the address is taken, foreign or forbidden.
        """
        try:
            if self.host or not socket.has_dualstack_ipv6():
                family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
                return socket.create_server((self.host, self.port or 0), family=family, backlog=128)
            return socket.create_server(("", self.port or 0), family=socket.AF_INET6, backlog=128, dualstack_ipv6=True)
        except OSError as error:
            msg = f"cannot listen on {self}: {error.strerror or error}"
            raise ListenError(msg) from error

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return "0" if self.port is None else f"{host}:{self.port}"


def ask(checks: Mapping[str, Check]) -> dict[str, str]:
    """What each check answers, in order of name."""
    answers = {}
    for name in sorted(checks):
        try:
            answers[name] = checks[name]()
        except Exception as error:  # noqa: BLE001 - a check is foreign code; its failure is an answer
            answers[name] = f"the check itself failed: {type(error).__name__}"
    return answers


def _report(title: str, answers: Mapping[str, str], excluded: frozenset[str], *, verbose: bool) -> web.Response:
    lines = []
    failed = False
    for name, problem in answers.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        elif problem:
            failed = True
            lines.append(f"[-]{name} failed: {problem}")
        else:
            lines.append(f"[+]{name} ok")
    lines.append(f"{title} check {'failed' if failed else 'passed'}")
    text = "\n".join(lines) + "\n" if failed or verbose else "ok"
    return web.Response(text=text, status=500 if failed else 200, headers={"Cache-Control": "no-cache, no-store"})


class ProbeServer:
    """One listening address and what it serves.

    Args:
        address: where to listen.
        health: checks behind ``/healthz`` and ``/livez``; None leaves the routes out.
        ready: checks behind ``/readyz``; the mapping is read at every request, so it may grow.
        metrics: the page behind ``/metrics``; None leaves the route out.
    """

    def __init__(
        self,
        address: Address,
        *,
        health: Mapping[str, Check] | None = None,
        ready: Mapping[str, Check] | None = None,
        metrics: Exposition | None = None,
    ) -> None:
        self.address = address
        self.port: int | None = None
        self._metrics = metrics
        self._runner: web.AppRunner | None = None
        self._app = web.Application(client_max_size=1024)
        if health is not None:
            self._route("healthz", health)
            self._route("livez", health)
        if ready is not None:
            self._route("readyz", ready)
        if metrics is not None:
            self._app.router.add_get("/metrics", self._expose)

    def _route(self, title: str, checks: Mapping[str, Check]) -> None:
        async def everything(request: web.Request) -> web.Response:
            excluded = frozenset(request.query.getall("exclude", []))
            return _report(title, ask(checks), excluded, verbose="verbose" in request.query)

        async def single(request: web.Request) -> web.Response:
            name = request.match_info["check"]
            if name not in checks:
                raise web.HTTPNotFound(text=f"no such check; there are: {', '.join(sorted(checks))}\n")
            return _report(title, ask({name: checks[name]}), frozenset(), verbose="verbose" in request.query)

        self._app.router.add_get(f"/{title}", everything)
        self._app.router.add_get(f"/{title}/", everything)
        self._app.router.add_get(f"/{title}/{{check}}", single)

    async def _expose(self, request: web.Request) -> web.Response:
        assert self._metrics is not None  # noqa: S101 - the route exists only then
        body, content_type = self._metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def start(self) -> None:
        """Listen; ``port`` is set afterwards.

        Raises:
            ListenError: the address cannot be used.
        """
        sock = self.address.listen()
        runner = web.AppRunner(self._app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        try:
            await runner.setup()
            await web.SockSite(runner, sock).start()
        except BaseException:
            sock.close()
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = sock.getsockname()[1]

    async def stop(self) -> None:
        """Close the socket and open connections; safe to call twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


class ProbeServers:
    """The metrics and the health server; one server when both have the same address.

    Usable as an async context manager. ``ports`` maps ``metrics`` and ``health`` to the port in use, None when off.
    """

    def __init__(
        self,
        *,
        metrics_address: Address,
        health_address: Address,
        health: Mapping[str, Check],
        ready: Mapping[str, Check],
        metrics: Exposition,
    ) -> None:
        servers: dict[str, ProbeServer] = {}
        if health_address.port is not None:
            shared = metrics_address == health_address and metrics_address.port != 0
            servers["health"] = ProbeServer(
                health_address, health=health, ready=ready, metrics=metrics if shared else None
            )
            if shared:
                servers["metrics"] = servers["health"]
        if metrics_address.port is not None and "metrics" not in servers:
            servers["metrics"] = ProbeServer(metrics_address, metrics=metrics)
        self._servers = servers

    @property
    def ports(self) -> dict[str, int | None]:
        """The ports in use."""
        return {name: self._servers[name].port if name in self._servers else None for name in ("metrics", "health")}

    async def __aenter__(self) -> ProbeServers:
        try:
            for server in self._unique():
                await server.start()
        except BaseException:
            await self.stop()
            raise
        for name, server in sorted(self._servers.items()):
            log.info("serving", what=name, address=str(server.address), port=server.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close every server."""
        for server in self._unique():
            await server.stop()

    def _unique(self) -> Iterable[ProbeServer]:
        return dict.fromkeys(self._servers.values())
