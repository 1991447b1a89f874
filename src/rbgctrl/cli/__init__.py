"""The command line: ``rbgctrl run``, ``tree``, ``validate``, ``demo``, ``crds``, ``version``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; those of the process when None.

    Returns:
        The exit code: 0 success, 1 not found or not ready, 2 usage or configuration, 130 interrupted.
    """
    import typer.main  # noqa: PLC0415 - `import rbgctrl.cli` costs nothing

    from rbgctrl.cli.app import Invocation, application  # noqa: PLC0415 - the same
    from rbgctrl.cli.errors import report  # noqa: PLC0415 - the same

    invocation = Invocation()
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(application())
    try:
        command.main(args=given, prog_name="rbgctrl", obj=invocation)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException as error:  # noqa: BLE001 - the one place where every error becomes a sentence
        return report(error, debug=invocation.debug)
    return 0
