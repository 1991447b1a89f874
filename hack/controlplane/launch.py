"""Started as a plain script, becomes the program named by its arguments once the driver says so.

Usage: ``launch.py MODE DRIVER_PID PROGRAM [ARGUMENT…]`` with a pipe as standard input. MODE ``tied`` makes the kernel
kill the program when the driver's thread that started it ends, however it ends; ``free`` lets it live on. The
program begins only after the driver wrote ``g`` into the pipe, which it does when it has recorded the process: so
no program ever runs that nobody knows of. A closed pipe means that the driver died first.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__: list[str] = []

_PR_SET_PDEATHSIG = 1


def _main(mode: str, driver: str, program: str, *arguments: str) -> None:
    if mode == "tied":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != int(driver):  # it died before the line above took hold
            return
    if os.read(0, 1) != b"g":
        return
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execv(program, [program, *arguments])  # noqa: S606 - becoming that program is the purpose


if __name__ == "__main__":
    _main(*sys.argv[1:])
