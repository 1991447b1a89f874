"""``rbgctrl run``: one flag for each field of the daemon's settings, named as in the reference manager.

The flags are written out, not derived, so that help needs none of the daemon's libraries; a test holds them equal.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Final

import typer

from rbgctrl.cli.errors import OK
from rbgctrl.cli.help import PlainCommand
from rbgctrl.cli.options import Context, Kubeconfig

__all__ = ["RunCommand", "run"]

_SCOPE = "What is managed"
_SERVING = "Metrics and health"
_WEBHOOKS = "Webhooks"
_LEADER = "Several replicas"
_PACE = "Pace"
_PROCESS = "Logs and process"

_TRUE: Final = frozenset(("true", "1", "t"))
_FALSE: Final = frozenset(("false", "0", "f"))


class RunCommand(PlainCommand):
    """Also reads switches the way Go programs do: ``--leader-elect=true``, ``--tune-gc=false``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with Go's notation of switches rewritten to ours."""
        switches = {
            name: parameter.secondary_opts[0]
            for parameter in self.params
            if getattr(parameter, "is_bool_flag", False) and parameter.secondary_opts
            for name in parameter.opts
        }
        return super().parse_args(ctx, [_rewritten(argument, switches) for argument in args])


def _rewritten(argument: str, switches: dict[str, str]) -> str:
    name, equals, value = argument.partition("=")
    if not equals or name not in switches:
        return argument
    if value.lower() in _TRUE:
        return name
    return switches[name] if value.lower() in _FALSE else argument


def run(
    *,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
    namespaces: Annotated[
        list[str] | None,
        typer.Option(
            help="Watch only this namespace; repeat the flag, or separate by commas, for several. "
            "All namespaces when not given.",
            metavar="NAME",
            show_default=False,
            rich_help_panel=_SCOPE,
        ),
    ] = None,
    enable_deprecated_workload_types: Annotated[
        bool,
        typer.Option(
            help="Run roles of Deployments, StatefulSets and LeaderWorkerSets; else such objects are not even read.",
            rich_help_panel=_SCOPE,
        ),
    ] = True,
    scheduler_name: Annotated[
        str,
        typer.Option(
            help="Whose PodGroups are written for groups that ask for gang scheduling.",
            metavar="scheduler-plugins|volcano",
            rich_help_panel=_SCOPE,
        ),
    ] = "scheduler-plugins",
    enable_port_allocator: Annotated[
        bool,
        typer.Option(
            help="Give ports to pods that ask for some by annotation; else they run without, and a condition says so.",
            rich_help_panel=_SCOPE,
        ),
    ] = False,
    port_allocate_strategy: Annotated[
        str, typer.Option(help="How ports are chosen; there is one way.", metavar="random", rich_help_panel=_SCOPE)
    ] = "random",
    start_port: Annotated[int, typer.Option(help="First port that may be allocated.", rich_help_panel=_SCOPE)] = 30000,
    port_range: Annotated[
        int, typer.Option(help="How many ports may be allocated, from the first on.", rich_help_panel=_SCOPE)
    ] = 5000,
    metrics_bind_address: Annotated[
        str,
        typer.Option(
            help="Where /metrics is served, for example :8080; 0 for nowhere.",
            metavar="ADDRESS",
            rich_help_panel=_SERVING,
        ),
    ] = "0",
    metrics_secure: Annotated[
        bool,
        typer.Option(
            help="Serve metrics over TLS. This version cannot, and refuses to start when asked to.",
            rich_help_panel=_SERVING,
        ),
    ] = False,
    health_probe_bind_address: Annotated[
        str,
        typer.Option(
            help="Where /healthz and /readyz are served; 0 for nowhere.", metavar="ADDRESS", rich_help_panel=_SERVING
        ),
    ] = ":8082",
    enable_webhooks: Annotated[
        str | None,
        typer.Option(
            help="Serve conversion and admission for the API server; all in a pod and none elsewhere when not given.",
            metavar="all|none",
            show_default=False,
            rich_help_panel=_WEBHOOKS,
        ),
    ] = None,
    webhook_host: Annotated[
        str,
        typer.Option(
            help="Address to serve webhooks on; every interface when not given.",
            metavar="ADDRESS",
            show_default=False,
            rich_help_panel=_WEBHOOKS,
        ),
    ] = "",
    webhook_port: Annotated[int, typer.Option(help="Port to serve webhooks on.", rich_help_panel=_WEBHOOKS)] = 9443,
    webhook_cert_dir: Annotated[
        str,
        typer.Option(
            help="Directory with tls.crt and tls.key, read again when they change, for example cert-manager's. "
            "Certificates of our own, in the Secret rbgs-webhook-cert, when not given.",
            metavar="DIR",
            show_default=False,
            rich_help_panel=_WEBHOOKS,
        ),
    ] = "",
    webhook_service_name: Annotated[
        str, typer.Option(help="Service in front of the webhooks.", metavar="NAME", rich_help_panel=_WEBHOOKS)
    ] = "rbgs-webhook-service",
    webhook_service_namespace: Annotated[
        str,
        typer.Option(
            help="Its namespace, and that of the Secret; the pod's own, or that of the kubeconfig's context, when not "
            "given.",
            metavar="NAME",
            envvar="POD_NAMESPACE",
            show_default=False,
            rich_help_panel=_WEBHOOKS,
        ),
    ] = "",
    webhook_ca_bundle: Annotated[
        bool | None,
        typer.Option(
            help="Keep caBundle of CRDs and webhook configuration current; done when not given, but for "
            "--webhook-cert-dir.",
            show_default=False,
            rich_help_panel=_WEBHOOKS,
        ),
    ] = None,
    leader_elect: Annotated[
        bool,
        typer.Option(
            help="Take part in leader election: of several replicas one works, the others stand by with warm caches.",
            rich_help_panel=_LEADER,
        ),
    ] = False,
    leader_election_id: Annotated[
        str, typer.Option(help="Name of the Lease.", metavar="NAME", rich_help_panel=_LEADER)
    ] = "rbg-controller",
    leader_election_namespace: Annotated[
        str,
        typer.Option(
            help="Namespace of the Lease; the pod's own, or that of the kubeconfig's context, when not given.",
            metavar="NAME",
            envvar="POD_NAMESPACE",
            show_default=False,
            rich_help_panel=_LEADER,
        ),
    ] = "",
    max_concurrent_reconciles: Annotated[
        int, typer.Option(help="Workers of each controller.", rich_help_panel=_PACE)
    ] = 10,
    cache_sync_timeout: Annotated[
        str,
        typer.Option(
            help="After this long, caches that are not complete are reported as an error (and waited for).",
            metavar="DURATION",
            rich_help_panel=_PACE,
        ),
    ] = "120s",
    kube_api_qps: Annotated[
        float,
        typer.Option(
            help="Requests a second at most; 0 for no limit: the server sheds load itself.", rich_help_panel=_PACE
        ),
    ] = 0.0,
    kube_api_burst: Annotated[
        int, typer.Option(help="How many requests may exceed that at once.", rich_help_panel=_PACE)
    ] = 0,
    development: Annotated[
        bool,
        typer.Option(
            help="Defaults for a person at a terminal: readable logs at level debug.", rich_help_panel=_PROCESS
        ),
    ] = False,
    log_level: Annotated[
        str | None,
        typer.Option(
            help="Least level that is logged; info when not given.",
            metavar="debug|info|warning|error",
            show_default=False,
            rich_help_panel=_PROCESS,
        ),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(
            help="One JSON object a line, or text for people; when not given, text on a terminal and json elsewhere.",
            metavar="json|console",
            show_default=False,
            rich_help_panel=_PROCESS,
        ),
    ] = None,
    event_loop: Annotated[
        str,
        typer.Option(help="Event loop; uvloop is the faster one.", metavar="uvloop|asyncio", rich_help_panel=_PROCESS),
    ] = "uvloop",
    tune_gc: Annotated[
        bool, typer.Option(help="Keep Python's garbage collector away from the caches.", rich_help_panel=_PROCESS)
    ] = True,
) -> None:
    """Run the controllers until told to stop (SIGTERM or Ctrl-C).

    In a pod nothing but --leader-elect is needed. From a workstation it uses your kubeconfig:

        rbgctrl run --development

    Needs the CRDs (rbgctrl crds --install). Exits with 2 when the configuration or the cluster cannot be used.
    """
    flags: dict[str, object] = {**locals(), "namespaces": tuple(_names(namespaces or []))}
    if enable_webhooks is None:
        flags["enable_webhooks"] = "all" if os.environ.get("KUBERNETES_SERVICE_HOST") else "none"
    if log_format is None and sys.stderr.isatty():
        flags["log_format"] = "console"
    raise typer.Exit(_start(flags))


def _names(given: list[str]) -> list[str]:
    return [name.strip() for item in given for name in item.split(",") if name.strip()]


def _start(flags: dict[str, object]) -> int:
    from rbgctrl.daemon import run as daemon  # noqa: PLC0415 - the daemon's libraries take a second to load
    from rbgctrl.daemon.settings import Settings  # noqa: PLC0415 - the same

    return int(daemon(Settings.of(**flags)) or OK)
