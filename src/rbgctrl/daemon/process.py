"""The daemon as a process: logging, event loop, signals, exit code."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
from types import TracebackType
from typing import Any, Final

import prometheus_client
import structlog
import uvloop

from rbgctrl.api.meta import Key
from rbgctrl.client import CertificateError, Client, ClientOptions, ConfigError, connect
from rbgctrl.client.http import HttpOptions
from rbgctrl.client.limiter import RateLimit
from rbgctrl.daemon.preflight import AccessError, MissingCrdsError, Preflight
from rbgctrl.daemon.settings import Settings, SettingsError
from rbgctrl.runtime.leader import LeaseElector, LeaseLostError
from rbgctrl.runtime.logs import LogOptions, configure
from rbgctrl.runtime.manager import Manager, ManagerOptions
from rbgctrl.runtime.metrics import Metrics
from rbgctrl.runtime.probes import ListenError
from rbgctrl.version import __version__

__all__ = ["EXIT_CONFIGURATION", "EXIT_FAILURE", "EXIT_OK", "build", "run", "serve"]

log = structlog.get_logger(__name__)

EXIT_OK: Final = 0
"""Stopped as asked."""
EXIT_FAILURE: Final = 1
"""Something failed while running, or the lease was lost: start again."""
EXIT_CONFIGURATION: Final = 2
"""Nothing that starting again would mend: the log says what to change."""

_CONFIGURATION = (ConfigError, SettingsError, MissingCrdsError, AccessError, CertificateError, ListenError)


def run(settings: Settings) -> int:
    """Run the daemon until a signal or a failure; configures logging and signal handlers of this process.

    SIGTERM and SIGINT end it in good order: not ready, reconciles finished, events written, lease released. A second
    one ends it at once.

    Returns:
        ``EXIT_OK``, ``EXIT_FAILURE`` or ``EXIT_CONFIGURATION``.
    """
    configure(_log_options(settings))
    # A series for each series, which nobody looks at.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped
    start = uvloop.run if settings.event_loop == "uvloop" else asyncio.run
    return start(_main(settings))


async def _main(settings: Settings) -> int:
    """From exceptions to an exit code."""
    with _Signals() as signals:
        try:
            await serve(settings)
        except asyncio.CancelledError:
            if not signals.received:
                raise
            log.info("stopped")
            return EXIT_OK
        except _CONFIGURATION as error:
            log.error("cannot start", error=str(error))
            return EXIT_CONFIGURATION
        except LeaseLostError as error:
            log.error("stopped", error=str(error))
            return EXIT_FAILURE
        except Exception:
            log.exception("stopped by an error")
            return EXIT_FAILURE
    return EXIT_OK


async def serve(settings: Settings) -> None:
    """Connect, build everything and run it until cancelled, which ends it in good order.

    Raises:
        ConfigError: no usable kubeconfig.
        MissingCrdsError: our kinds are not installed.
        AccessError: our credentials are not accepted.
        CertificateError: no trust between the server and us.
        ListenError: an address cannot be used.
        LeaseLostError: another replica may be the leader.
    """
    log.info("starting", version=__version__, event_loop=settings.event_loop, namespaces=list(settings.namespaces))
    metrics = Metrics()
    async with connect(
        kubeconfig=settings.kubeconfig or None,
        context=settings.context or None,
        options=ClientOptions(http=_http_options(settings)),
        observer=metrics.client,
    ) as client:
        log.info("connecting", server=client.server, namespace=client.namespace)
        await build(client, settings, metrics).run()


def build(client: Client, settings: Settings, metrics: Metrics | None = None) -> Manager:
    """The manager of the daemon with all reconcilers, not started. For tests and embedders of the whole daemon.

    Args:
        client: how to reach the API server.
        settings: everything else.
        metrics: where to count.
    """
    from rbgctrl.daemon.reconcilers import reconciler_options  # noqa: PLC0415 - the same
    from rbgctrl.daemon.webhooks import add_webhooks  # noqa: PLC0415 - the models behind it take long to import
    from rbgctrl.reconcilers import add_all  # noqa: PLC0415 - the same

    elector = None
    if settings.leader_elect:
        namespace = settings.leader_election_namespace or client.namespace
        elector = LeaseElector(client, Key(namespace, settings.leader_election_id))
    manager = Manager(
        client,
        elector=elector,
        options=ManagerOptions(
            namespaces=settings.namespaces,
            metrics_bind_address=settings.metrics_bind_address,
            health_probe_bind_address=settings.health_probe_bind_address,
            cache_sync_timeout=settings.cache_sync_timeout,
            tune_collector=settings.tune_gc,
        ),
        metrics=metrics,
        preflight=Preflight(client),
    )
    add_all(manager, reconciler_options(settings))
    if settings.enable_webhooks == "all":
        add_webhooks(manager, client, settings)
    return manager


def _http_options(settings: Settings) -> HttpOptions:
    options = HttpOptions(user_agent=f"rbgctrl-daemon/{__version__}")  # hack/rbac.py tells it from commands by this
    if not settings.kube_api_qps:
        return options
    burst = settings.kube_api_burst or max(1, round(1.5 * settings.kube_api_qps))
    return dataclasses.replace(options, rate=RateLimit(qps=settings.kube_api_qps, burst=burst))


def _log_options(settings: Settings) -> LogOptions:
    return LogOptions(
        level=settings.log_level or ("debug" if settings.development else "info"),
        format=settings.log_format or ("console" if settings.development else "json"),
    )


class _Signals:
    """The first SIGTERM or SIGINT cancels the task that entered this; the second ends the process."""

    HANDLED = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received = False
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> _Signals:
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in self.HANDLED:
            loop.add_signal_handler(number, self._receive, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self.HANDLED:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _receive(self, number: int) -> None:
        name = signal.Signals(number).name
        if not self.received:
            self.received = True
            log.info("stopping", signal=name)
            if self._task is not None:
                self._task.cancel()
        else:
            log.warning("stopping at once", signal=name)
            os._exit(EXIT_FAILURE)
