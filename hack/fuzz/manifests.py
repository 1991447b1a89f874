"""Bytes as manifests and as webhook requests, through validation, admission and conversion: nothing may raise.

Needs atheris, which is no dependency of ours (``.venv/bin/pip install atheris``; Linux with clang's runtime):

    .venv/bin/python -m hack.fuzz.manifests .state/fuzz examples -max_total_time=600

The first folder collects inputs that reach new code, further ones seed it; the rest is libFuzzer's. A finding is left
as ``crash-*``; run the module with that file's name to see it again, then turn it into a test.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rbgctrl.api.admission import AdmissionOptions

__all__ = ["main", "one"]

_KINDS = ("RoleBasedGroup", "RoleBasedGroupSet", "CoordinatedPolicy")


def one(data: bytes) -> None:
    """Check one input, as a file and, where it is JSON, as an object that admission is asked about.

    Raises:
        Exception: whatever is wrong with the code under test.
    """
    from rbgctrl.api.admission import AdmissionOptions, review  # noqa: PLC0415 - atheris has to see it being imported
    from rbgctrl.cli.validate.checks import check  # noqa: PLC0415 - the same
    from rbgctrl.cli.validate.nodes import documents  # noqa: PLC0415 - the same
    from rbgctrl.cli.validate.report import Source  # noqa: PLC0415 - the same

    text = data.decode("utf-8", "replace")
    options = AdmissionOptions(deprecated_workload_types=False)
    check([Source("fuzz", text)], options)
    bodies = [document.root.json() for document in documents(text) if document.root is not None]
    found = [body for body in bodies if isinstance(body, dict)]
    for kind in _KINDS:
        for new, old in zip(found, [None, *found], strict=False):
            verdict = review(kind, new, old, options, lambda _: 1)
            assert bool(verdict.message) is not verdict.allowed  # noqa: S101 - what is fuzzed for
    _requests(data, options)


def _requests(data: bytes, options: AdmissionOptions) -> None:
    """The bytes as the body of a request to each webhook: there is an answer, and never that we failed."""
    from rbgctrl.webhooks.reviews import VALIDATED, admit, answer_conversion  # noqa: PLC0415 - as above

    answers = [answer_conversion(data)]
    answers += [asyncio.run(admit(kind, data, options, _no_adapter)) for kind in VALIDATED]
    assert all(answer.body and answer.code < 500 for answer in answers)  # noqa: S101 - what is fuzzed for


async def _no_adapter(namespace: str, name: str) -> int | None:  # noqa: ARG001 - a cluster without adapters
    return None


def main(arguments: list[str]) -> None:
    """Fuzz until told to stop.

    Args:
        arguments: as libFuzzer takes them, the program's name first.

    Raises:
        SystemExit: atheris is not installed.
    """
    try:
        atheris: Any = importlib.import_module("atheris")
    except ModuleNotFoundError:
        raise SystemExit("atheris is not installed; .venv/bin/pip install atheris") from None
    with atheris.instrument_imports(include=["rbgctrl"]):
        one(b"{}")
    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
