"""Started as a plain script, becomes the program named by its arguments, tied to the life of whoever started it.

Usage: ``tied.py PARENT_PID PROGRAM [ARGUMENT…]``. The kernel ends the program when the parent's thread that started it
ends, however it ends. Elsewhere than on Linux the program simply runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__: list[str] = []

_PR_SET_PDEATHSIG = 1


def _main(parent: str, program: str, *arguments: str) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != int(parent):  # it ended before the line above took hold
            return
    os.execv(program, [program, *arguments])  # noqa: S606 - becoming that program is the purpose


if __name__ == "__main__":
    _main(*sys.argv[1:])
