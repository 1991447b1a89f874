"""Everything the daemon can be told, as one immutable value: one field for each flag of ``rbgctrl run``.

Names and defaults are the reference manager's where it has the flag; where a default differs, the field says why.
Nothing here reads the environment: the command line does, and passes values.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from rbgctrl.runtime.probes import Address

__all__ = ["Duration", "Settings", "SettingsError", "parse_duration"]

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


class SettingsError(Exception):
    """A setting has a value that cannot work; raised before anything is started. The message names the setting."""


def parse_duration(text: str) -> float:
    """Seconds of a duration in Go's syntax.

    Args:
        text: for example ``"120s"``, ``"1h30m"``, ``"1.5m"``, ``"300ms"``, ``"0"``.

    Returns:
        Seconds, never negative.

    Raises:
        ValueError: the text is not a duration, or negative.
    """
    rest = text.strip().removeprefix("+")
    if rest == "0":
        return 0.0
    seconds, position = 0.0, 0
    for part in _PART.finditer(rest):
        if part.start() != position:
            break
        seconds += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    if position == 0 or position != len(rest):
        msg = f"{text!r} is not a duration; write for example 120s, 2m or 1h30m"
        raise ValueError(msg)
    return seconds


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _address(value: str) -> str:
    Address.parse(value)
    return value


Duration = Annotated[float, BeforeValidator(_duration), Field(ge=0, allow_inf_nan=False)]
"""Seconds; text is read in Go's syntax."""

BindAddress = Annotated[str, AfterValidator(_address)]
"""``":8080"``, ``"127.0.0.1:0"``, ``"[::1]:8080"``; ``"0"`` or ``""`` means off."""


class Settings(BaseModel):
    """Flags of the daemon; more fields than an option class should have, because each is one flag.

    Attributes:
        kubeconfig: path of a kubeconfig; ``""`` means in-cluster, then ``$KUBECONFIG``, then ``~/.kube/config``.
        context: context of the kubeconfig; ``""`` means the current one.
        namespaces: watch only these; empty means the whole cluster.
        kube_api_qps: requests a second, 0 for no limit. Default 0 (the reference manager: 20): concurrency is bounded
            and the server sheds load itself, so a limit here only delays.
        kube_api_burst: how many requests may exceed ``kube_api_qps`` at once.
        metrics_bind_address: where ``/metrics`` is served; off by default.
        metrics_secure: serve metrics over TLS with token review. Default False (the reference manager: true): metrics
            are served in plain HTTP, and asking for more than that is refused rather than ignored.
        health_probe_bind_address: where ``/healthz`` and ``/readyz`` are served.
        leader_elect: take part in leader election, for more than one replica.
        leader_election_id: name of the Lease.
        leader_election_namespace: namespace of the Lease; ``""`` means the pod's own or the kubeconfig's.
        max_concurrent_reconciles: workers of each controller.
        cache_sync_timeout: seconds after which caches that are not complete are reported as an error (and waited for).
        enable_webhooks: ``all`` or ``none``. Default ``none`` (the reference manager: all); the command line asks for
            all inside a pod, since no API server reaches anything else.
        webhook_host: address to serve them on; ``""`` for every interface.
        webhook_port: port to serve them on; 0 for any free one.
        webhook_cert_dir: directory with ``tls.crt`` and ``tls.key`` that somebody else keeps current; ``""`` for
            certificates of our own, in the Secret ``rbgs-webhook-cert``.
        webhook_service_name: Service in front of the webhooks.
        webhook_service_namespace: its namespace and the Secret's; ``""`` means the pod's own or the kubeconfig's.
        webhook_ca_bundle: whether ``caBundle`` of CRDs and webhook configuration is kept current; None does so unless
            ``webhook_cert_dir`` is given.
        scheduler_name: whose PodGroups are written for groups that ask for gang scheduling.
        enable_deprecated_workload_types: whether roles of Deployments, StatefulSets and LeaderWorkerSets are run.
        enable_port_allocator: whether ports are given to pods that ask for some.
        port_allocate_strategy: how they are chosen; there is one way.
        start_port: first port of the range.
        port_range: how many ports the range has.
        development: readable defaults for a person at a terminal: console logs at level debug.
        log_level: least level that is written.
        log_format: ``json``, one object a line, or ``console``; None follows ``development``.
        event_loop: ``uvloop`` or ``asyncio``.
        tune_gc: keep the garbage collector away from the caches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kubeconfig: str = ""
    context: str = ""
    namespaces: tuple[str, ...] = ()
    kube_api_qps: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    kube_api_burst: Annotated[int, Field(ge=0)] = 0

    metrics_bind_address: BindAddress = "0"
    metrics_secure: bool = False
    health_probe_bind_address: BindAddress = ":8082"

    leader_elect: bool = False
    leader_election_id: Annotated[str, Field(min_length=1)] = "rbg-controller"
    leader_election_namespace: str = ""

    max_concurrent_reconciles: Annotated[int, Field(ge=1)] = 10
    cache_sync_timeout: Duration = 120.0
    enable_webhooks: Literal["all", "none"] = "none"
    webhook_host: str = ""
    webhook_port: Annotated[int, Field(ge=0, le=65535)] = 9443
    webhook_cert_dir: str = ""
    webhook_service_name: Annotated[str, Field(min_length=1)] = "rbgs-webhook-service"
    webhook_service_namespace: str = ""
    webhook_ca_bundle: bool | None = None
    scheduler_name: Literal["scheduler-plugins", "volcano"] = "scheduler-plugins"
    enable_deprecated_workload_types: bool = True
    enable_port_allocator: bool = False
    port_allocate_strategy: Literal["random"] = "random"
    start_port: Annotated[int, Field(ge=1, le=65535)] = 30000
    port_range: Annotated[int, Field(ge=1, le=65535)] = 5000

    development: bool = False
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    log_format: Literal["json", "console"] | None = None
    event_loop: Literal["uvloop", "asyncio"] = "uvloop"
    tune_gc: bool = True

    @model_validator(mode="after")
    def _cross_check(self) -> Settings:
        if self.start_port + self.port_range - 1 > 65535:
            msg = f"start_port {self.start_port} plus port_range {self.port_range} goes beyond port 65535"
            raise ValueError(msg)
        if self.metrics_secure and self.metrics_bind_address not in ("", "0"):
            msg = "metrics_secure: metrics are served in plain HTTP only; bind them to 127.0.0.1 or set it to false"
            raise ValueError(msg)
        if len(set(self.namespaces)) != len(self.namespaces):
            msg = "namespaces names one twice"
            raise ValueError(msg)
        return self

    @classmethod
    def of(cls, **flags: object) -> Settings:
        """Settings from values of any type, with one sentence for each that is wrong.

        Raises:
            SettingsError: at least one value cannot work.
        """
        try:
            return cls.model_validate(flags)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from error


def _explain(error: ValidationError) -> str:
    sentences = []
    for problem in error.errors(include_url=False, include_context=False):
        flag = "--" + "-".join(str(part).replace("_", "-") for part in problem["loc"][:1]) if problem["loc"] else ""
        sentences.append(f"{flag}: {problem['msg'].removeprefix('Value error, ')}".removeprefix(": "))
    return "; ".join(sentences)
