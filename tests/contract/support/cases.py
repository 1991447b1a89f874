"""From a function of a server to a pytest test of every server."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import pytest

from contract.support.api import Api, Kind, Obj
from contract.support.backends import Backend

__all__ = ["Together", "case", "kinds", "together"]

P = ParamSpec("P")
T = TypeVar("T", bound=Callable[..., None])
Case: TypeAlias = Callable[[Api], Awaitable[None]]


def case(function: Callable[Concatenate[Api, P], Awaitable[None]]) -> Callable[..., None]:
    """A case that has a server for itself, as far as the backend can offer one."""

    def test(backend: Backend, *args: P.args, **kwargs: P.kwargs) -> None:
        for failure in backend.run(lambda api: function(api, *args, **kwargs)):
            if failure is not None:
                raise failure

    return _asking(test, function, "backend")


class Together:
    """Outcomes of cases that were run at the same time, by name."""

    def __init__(self, backend: Backend, cases: dict[str, Case]) -> None:
        self._outcomes = dict(zip(cases, backend.run(*cases.values()), strict=True))

    def raise_for(self, name: str) -> None:
        """Raise what the case raised."""
        failure = self._outcomes[name]
        if failure is not None:
            raise failure


def together(function: Case) -> Callable[[Together], None]:
    """A case that waits for what others do: all such cases of a module run at the same time on one server."""

    def test(outcomes: Together) -> None:
        outcomes.raise_for(function.__name__)

    return _asking(test, function, "outcomes")


def kinds(*pairs: tuple[Kind, Obj]) -> pytest.MarkDecorator:
    """Run a case with each of these kinds (parameter ``kind``) and objects named ``a`` (parameter ``body``)."""
    return pytest.mark.parametrize(("kind", "body"), [pytest.param(*pair, id=pair[0].__name__) for pair in pairs])


def _asking(test: T, function: Callable[..., Any], fixture: str) -> T:
    """Let pytest see the case, with a fixture's name instead of its first parameter."""
    functools.update_wrapper(test, function)
    parameters = list(inspect.signature(function).parameters.values())
    first = inspect.Parameter(fixture, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    test.__signature__ = inspect.Signature([first, *parameters[1:]])  # type: ignore[attr-defined]  # inspect reads it
    return test
