"""Label and field selectors: parsed once, then a test of an object."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from rbgctrl.sim.kinds import Row
from rbgctrl.sim.labelsyntax import Holds, Labels, SelectorError, parse_selector
from rbgctrl.sim.status import Refusal, bad_request

__all__ = ["Test", "everything", "field_selector", "label_selector", "matches_labels"]

Test: TypeAlias = Callable[[dict[str, Any]], bool]
"""Whether an object is selected."""

_TERM: Final = re.compile(r"([^=!]*)(==|!=|=)(.*)$", re.DOTALL)
_NO_LABELS: Final[dict[str, str]] = {}


def everything(obj: dict[str, Any]) -> bool:
    """The empty selector."""
    return obj is not None


def matches_labels(text: str, labels: Labels) -> bool:
    """Whether ``labels`` satisfy the selector ``text``. Raises :class:`Refusal` as :func:`label_selector` does."""
    return all(holds(labels) for holds in _tests(text))


def label_selector(text: str) -> Test:
    """A test for the API's label selector syntax.

    Raises:
        Refusal: 400, it cannot be parsed.
    """
    tests = _tests(text)
    if not tests:
        return everything
    if len(tests) == 1:
        only = tests[0]
        return lambda obj: only(obj["metadata"].get("labels") or _NO_LABELS)
    return lambda obj: all(holds(obj["metadata"].get("labels") or _NO_LABELS) for holds in tests)


@lru_cache(maxsize=4096)
def _tests(text: str) -> tuple[Holds, ...]:
    try:
        return tuple(requirement.holds for requirement in parse_selector(text))
    except SelectorError as error:
        raise bad_request(str(error)) from None


def field_selector(text: str, row: Row) -> Test:
    """A test for the API's field selector syntax.

    Args:
        text: comma-separated ``path=value`` and ``path!=value``.
        row: the kind; knows the paths it can be selected by.

    Raises:
        Refusal: 400, it cannot be parsed or names another path.
    """
    tests = [test for test in (_term(part, row) for part in text.split(",") if part) if test is not everything]
    if not tests:
        return everything
    if len(tests) == 1:
        return tests[0]
    return lambda obj: all(test(obj) for test in tests)


def _term(part: str, row: Row) -> Test:
    match = _TERM.match(part)
    if match is None:
        raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
    path, operator, value = match.groups()
    if not path and not value:
        return everything
    if path not in row.fields:
        raise _not_supported(path, row)
    steps = tuple(path.split("."))
    wanted = operator != "!="
    return lambda obj: (_text_at(obj, steps) == value) is wanted


def _not_supported(path: str, row: Row) -> Refusal:
    if row.custom or row.selectable:
        return bad_request(f"field label not supported: {path}")
    return bad_request(f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def _text_at(obj: dict[str, Any], steps: tuple[str, ...]) -> str:
    found: Any = obj
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found)
