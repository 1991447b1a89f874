"""One place that turns what went wrong into a sentence: what happened, why, what to do now; and into an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rbgctrl.client.errors import ApiStatusError

__all__ = ["CONFIGURATION", "FAILED", "INTERRUPTED", "OK", "CliError", "Problem", "explain", "report"]

OK: Final = 0
FAILED: Final = 1
"""Not found, not ready in time, or a fault of ours."""
CONFIGURATION: Final = 2
"""Usage, configuration, credentials, or a cluster that cannot be used yet."""
INTERRUPTED: Final = 130
"""Ctrl-C."""


class CliError(Exception):
    """A command cannot go on; the message is shown as it is, so it says what, why and what now.

    Attributes:
        code: exit code.
    """

    def __init__(self, message: str, *, code: int = CONFIGURATION) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """What to tell the user, and the exit code."""

    message: str
    code: int


def explain(error: BaseException) -> Problem | None:
    """What ``error`` means to a user; None for what nobody foresaw."""
    if isinstance(error, BaseExceptionGroup):
        return _explain_group(error)
    if isinstance(error, CliError):
        return Problem(str(error), error.code)
    if isinstance(error, KeyboardInterrupt):
        return Problem("", INTERRUPTED)
    return _explain_client(error) or _explain_daemon(error)


def _explain_group(group: BaseExceptionGroup[BaseException]) -> Problem | None:
    """The first explained one, provided that all of them are."""
    found = [explain(error) for error in group.exceptions]
    return found[0] if all(found) else None


def _explain_client(error: BaseException) -> Problem | None:
    # Only a command that got as far as talking to a server has loaded these; loading them to compare costs too much.
    module = sys.modules.get("rbgctrl.client.errors")
    if module is None or not isinstance(error, module.ApiError):
        return None
    sentences: tuple[tuple[type[Exception], Callable[..., str]], ...] = (
        (module.ConfigError, str),
        (module.CertificateError, _certificate),
        (module.ConnectError, _connect),
        (module.UnauthorizedError, _unauthorized),
        (module.ForbiddenError, _forbidden),
        (module.NotFoundError, _not_found),
        (module.UnavailableError, _unavailable),
        (module.ApiError, _other),
    )
    return next(Problem(say(error), CONFIGURATION) for kind, say in sentences if isinstance(error, kind))


def _explain_daemon(error: BaseException) -> Problem | None:
    settings = sys.modules.get("rbgctrl.daemon.settings")
    if settings is not None and isinstance(error, settings.SettingsError):
        return Problem(f"{error}. See rbgctrl run --help.", CONFIGURATION)
    probes = sys.modules.get("rbgctrl.runtime.probes")
    if probes is not None and isinstance(error, probes.ListenError):
        advice = "Choose another with --health-probe-bind-address or --metrics-bind-address."
        return Problem(f"{_sentence(error)} {advice}", CONFIGURATION)
    return None


def _connect(error: Exception) -> str:
    return f"The API server cannot be reached: {_advised(error, 'Check that the cluster runs and is the right one.')}"


def _certificate(error: Exception) -> str:
    advice = "Check certificate-authority-data in the kubeconfig, and that it belongs to this cluster."
    return f"The connection to the API server is not secure: {_advised(error, advice)}"


def _advised(error: Exception, advice: str) -> str:
    """The error's own words, which mostly say what to check."""
    text = _sentence(error)
    return text if "; check " in text else f"{text} {advice}"


def _unauthorized(error: ApiStatusError) -> str:
    return (
        f"The API server does not accept the credentials: {_sentence(error)} "
        "Log in again, or choose other credentials with --context or --kubeconfig."
    )


def _forbidden(error: ApiStatusError) -> str:
    return (
        f"The API server refuses this: {_sentence(error)} "
        "Ask an administrator for that right, or choose another user with --context."
    )


def _not_found(error: ApiStatusError) -> str:
    if _missing_kind(error):
        return (
            f"The cluster does not know the kinds of rbgctrl: {_sentence(error)} "
            "Install their CRDs with: rbgctrl crds --install"
        )
    return f"Not found: {_sentence(error)} Check the name and the namespace."


def _missing_kind(error: ApiStatusError) -> bool:
    """A collection or resource that is not served; a missing object has its name in the server's sentence."""
    return "could not find the requested resource" in error.message or "404 page not found" in error.message


def _unavailable(error: ApiStatusError) -> str:
    return f"The API server is not ready: {_sentence(error)} Try again in a moment."


def _other(error: Exception) -> str:
    return (
        f"The API server's answer cannot be used: {_sentence(error)} Run rbgctrl --debug … to see where it came from."
    )


def _sentence(error: BaseException) -> str:
    """The error's own words with exactly one full stop."""
    text = str(error).strip() or type(error).__name__
    return text if text.endswith((".", "!", "?")) else text + "."


def report(error: BaseException, *, debug: bool = False) -> int:
    """Tell the user on standard error; returns the exit code.

    Args:
        error: what a command raised.
        debug: show where it came from, and not only what it means.
    """
    problem = explain(error)
    if debug and not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error)
    if problem is None:
        name = type(error).__name__
        text = f"{name}: {error}" if str(error) else name
        hint = "" if debug else " This is a defect of rbgctrl; run it again as rbgctrl --debug … to see where."
        _write(f"{_flat(text)}.{hint}")
        return FAILED
    if problem.message:
        _write(problem.message)
    return problem.code


def _flat(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _write(message: str) -> None:
    import typer  # noqa: PLC0415 - the command line has loaded it; whoever imports this module need not

    head = typer.style("error:", fg=typer.colors.RED, bold=True)
    typer.echo(f"{head} {message}", err=True)
