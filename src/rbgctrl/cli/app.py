"""The commands and their options. What they do is loaded when they run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from rbgctrl.cli.help import PlainCommand, PlainGroup, markup
from rbgctrl.cli.options import CLUSTER, Access, Context, Kubeconfig, Namespace, Output, OutputOption
from rbgctrl.cli.run import RunCommand, run

__all__ = ["Invocation", "application"]


@dataclass(slots=True)
class Invocation:
    """What holds for the whole invocation.

    Attributes:
        debug: show where errors come from.
    """

    debug: bool = False


def application() -> typer.Typer:
    """The command line, with help in the form that suits standard output."""
    app = typer.Typer(
        name="rbgctrl",
        cls=PlainGroup,
        rich_markup_mode=markup(),
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback()(_everything)
    app.command(cls=RunCommand)(run)
    app.command(cls=PlainCommand)(tree)
    app.command(cls=PlainCommand)(validate)
    app.command(cls=PlainCommand)(crds)
    app.command(cls=PlainCommand)(demo)
    app.command(cls=PlainCommand)(version)
    return app


def _everything(
    ctx: typer.Context,
    *,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show where errors come from, and log on standard error.", envvar="RBGCTRL_DEBUG"),
    ] = False,
) -> None:
    """Run and inspect role-based groups: LLM inference services on Kubernetes made of several roles.

    Start here:

        rbgctrl demo              a cluster on this machine, with an example, in seconds
        rbgctrl crds --install    make a cluster of yours know the kinds
        rbgctrl run               run the controllers against it
        rbgctrl tree              see the groups, and each one down to its nodes
        rbgctrl validate -f FILE  check manifests without a cluster

    Exit codes: 0 success, 1 not found or not ready, 2 wrong usage or a cluster that cannot be used, 130 interrupted.
    """
    ctx.obj.debug = debug


def _finish(work: Coroutine[Any, Any, int]) -> None:
    raise typer.Exit(asyncio.run(work))


def _names(ctx: typer.Context, incomplete: str) -> list[str]:
    from rbgctrl.cli.completion import group_names  # noqa: PLC0415 - only a shell that completes a name needs it

    return group_names(ctx.params, incomplete)


def tree(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="The group; without it all groups of the namespace are listed.",
            show_default=False,
            autocompletion=_names,
        ),
    ] = "",
    *,
    namespace: Namespace = "",
    all_namespaces: Annotated[
        bool,
        typer.Option("--all-namespaces", "-A", help="List the groups of every namespace.", rich_help_panel=CLUSTER),
    ] = False,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
    output: OutputOption = Output.TEXT,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow the changes until interrupted; with json one document a line.")
    ] = False,
    ready: Annotated[
        bool,
        typer.Option(
            "--ready", help="Exit with 1 unless all shown groups are Ready; with --watch, wait until they are."
        ),
    ] = False,
) -> None:
    """Show a group as a tree: its roles, their instances, their pods, and the node under each pod.

        rbgctrl tree                        list the groups of the current namespace
        rbgctrl tree llm -n inference       one of them, down to its nodes
        rbgctrl tree llm --watch --ready    wait until it is Ready, watching
        rbgctrl tree llm -o json            the same for programs

    Colours on a terminal, plain text elsewhere; NO_COLOR and FORCE_COLOR are respected.
    """
    from rbgctrl.cli.tree import TreeRequest  # noqa: PLC0415 - loads the HTTP library
    from rbgctrl.cli.tree import tree as show  # noqa: PLC0415 - the same

    request = TreeRequest(name=name, all_namespaces=all_namespaces, output=output, watch=watch, ready=ready)
    access = Access(kubeconfig=kubeconfig, context=context, namespace=namespace, debug=ctx.obj.debug)
    _finish(show(request, access))


def validate(
    *,
    files: Annotated[
        list[str],
        typer.Option(
            "--filename",
            "-f",
            help="File or folder of manifests, or - for standard input; may be given several times.",
            metavar="FILE|DIR|-",
            show_default=False,
        ),
    ] = [],  # noqa: B006 - typer copies it
    output: OutputOption = Output.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    no_deprecated: Annotated[
        bool,
        typer.Option(
            "--no-deprecated",
            help="Judge as a cluster that runs with --enable-deprecated-workload-types=false.",
        ),
    ] = False,
) -> None:
    """Check manifests without a cluster: schema, rules, admission, and what would silently do nothing.

    Reads YAML and JSON, several documents in a file, lists, folders and what is below them. Objects of v1alpha1 and
    v1alpha2 are judged as the API server and the admission webhook would on creation; every fault has its file, its
    line and what would be right. Objects of other kinds are counted and left alone, except Services that select by
    our labels.

        rbgctrl validate -f group.yaml
        rbgctrl validate -f manifests/ --strict        in CI
        helm template chart/ | rbgctrl validate -f -
        rbgctrl validate -f group.yaml -o json         for programs

    Errors are what a cluster, or kubectl, refuses. Warnings are accepted and do not do what they seem to: fields of
    v1alpha1, misspelt annotations, policies named like no group, Services that select nobody.

    Exit codes: 0 nothing wrong, 1 errors, 2 wrong usage or a file that cannot be read.
    """
    from rbgctrl.cli.validate.show import ValidateRequest  # noqa: PLC0415 - loads the models and the schemas
    from rbgctrl.cli.validate.show import validate as show  # noqa: PLC0415 - the same

    request = ValidateRequest(files=tuple(files), output=output, strict=strict, deprecated=not no_deprecated)
    raise typer.Exit(show(request))


def crds(
    ctx: typer.Context,
    *,
    install: Annotated[
        bool, typer.Option("--install", help="Apply them to the cluster and wait until it serves them.")
    ] = False,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the cluster to serve them.")] = 60.0,
) -> None:
    """Print the CustomResourceDefinitions of this version as one YAML stream, or install them.

    rbgctrl crds --install
    rbgctrl crds | kubectl apply --server-side -f -
    """
    from rbgctrl.cli import crds as module  # noqa: PLC0415 - loads the YAML library

    if not install:
        typer.echo(module.text(), nl=False)
        return
    access = Access(kubeconfig=kubeconfig, context=context, debug=ctx.obj.debug)
    _finish(module.install(access, within=timeout))


def demo(
    ctx: typer.Context,
    *,
    cluster: Annotated[
        str,
        typer.Option(
            help="embedded: one in this process. real: etcd, API server, scheduler and controller-manager, built from "
            "source; only in a checkout.",
            metavar="embedded|real",
        ),
    ] = "embedded",
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running to play with, until Ctrl-C.")] = False,
    state: Annotated[
        str,
        typer.Option(
            help="Folder for kubeconfig, logs and data; a temporary one when not given.",
            metavar="DIR",
            show_default=False,
        ),
    ] = "",
    timeout: Annotated[float, typer.Option(help="Seconds the group may take to become Ready.")] = 120.0,
) -> None:
    """Start a cluster with eight fake GPU nodes in two NVLink domains, run the controllers, and serve an example on it.

    The example is a prefill/decode group with a router. The daemon runs as a process of its own, as in production,
    against a cluster that is simulated in this process, or with --cluster real against Kubernetes itself: its first run
    builds the control plane, which takes minutes, later ones take seconds.

        rbgctrl demo
        rbgctrl demo --keep       and then, in another terminal, rbgctrl tree or kubectl
    """
    from rbgctrl.cli.demo import DemoRequest  # noqa: PLC0415 - loads what only the demo needs
    from rbgctrl.cli.demo import demo as play  # noqa: PLC0415 - the same

    request = DemoRequest(cluster=cluster, keep=keep, state=state, timeout=timeout, debug=ctx.obj.debug)
    raise typer.Exit(play(request))


def version(
    ctx: typer.Context,
    *,
    output: OutputOption = Output.TEXT,
    server: Annotated[bool, typer.Option("--server", help="Ask the cluster for its version, too.")] = False,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Show the version of rbgctrl, of Python, and with --server of the cluster."""
    from rbgctrl.cli import version as module  # noqa: PLC0415 - keeps this module light

    access = Access(kubeconfig=kubeconfig, context=context, debug=ctx.obj.debug) if server else None
    _finish(module.show(output, access))
