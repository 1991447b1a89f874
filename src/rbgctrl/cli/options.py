"""Options that several commands share."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rbgctrl.client.client import Client

__all__ = ["CLUSTER", "Access", "Context", "Kubeconfig", "Namespace", "Output", "OutputOption"]

CLUSTER = "Which cluster"
"""Title of the help section about reaching a cluster."""


class Output(StrEnum):
    """How results are written."""

    TEXT = "text"
    JSON = "json"


Kubeconfig = Annotated[
    str,
    typer.Option(
        help="Kubeconfig file. Without it: the pod's own service account when running in a pod, else $KUBECONFIG, "
        "else ~/.kube/config.",
        metavar="FILE",
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
Context = Annotated[
    str,
    typer.Option(
        help="Context of the kubeconfig; its current one when not given.",
        metavar="NAME",
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        help="Namespace to look into; that of the context when not given.",
        metavar="NAME",
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
OutputOption = Annotated[
    Output,
    typer.Option("--output", "-o", help="text for people, json for programs.", metavar="text|json"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach the cluster; ``""`` means the usual one.

    Attributes:
        kubeconfig: path of a kubeconfig.
        context: one of its contexts.
        namespace: the namespace asked for.
        debug: log what happens, on standard error.
    """

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    debug: bool = False

    def connect(self) -> AbstractAsyncContextManager[Client]:
        """A client for the cluster; someone waits at a terminal, so it gives up soon."""
        from rbgctrl.cli.logs import configure  # noqa: PLC0415 - the same
        from rbgctrl.client.connect import ClientOptions, connect  # noqa: PLC0415 - loads the HTTP library
        from rbgctrl.client.retry import RetryPolicy  # noqa: PLC0415 - the same

        configure(debug=self.debug)
        options = ClientOptions(field_manager="rbgctrl", retry=RetryPolicy(attempts=2))
        return connect(kubeconfig=self.kubeconfig or None, context=self.context or None, options=options)
