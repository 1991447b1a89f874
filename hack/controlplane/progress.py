"""Shows which of several long steps runs and for how long: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

__all__ = ["Progress", "format_seconds"]


def format_seconds(seconds: float) -> str:
    """Whole seconds as a person says them: ``7 s``, ``2 min 05 s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """Numbers the steps of one job and times them.

    Args:
        total: How many steps there are.
        console: Where to write; standard error by default, so that output meant for a shell stays clean.
        heartbeat: Seconds between two signs of life of a running step when the console is no terminal.
    """

    def __init__(self, total: int, *, console: Console | None = None, heartbeat: float = 30.0) -> None:
        self._total = total
        self._console = console or Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._heartbeat = heartbeat
        self._begun = 0
        self._started = time.monotonic()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Runs the body as the next step, named ``what``; says how long it took unless it raises."""
        self._begun += 1
        title = f"[{self._begun}/{self._total}] {what}"
        began = time.monotonic()
        with self._live(title, began):
            yield
        now = time.monotonic()
        took, all_ = format_seconds(now - began), format_seconds(now - self._started)
        self._print(f"{title}: done in {took} ({all_} in all)")

    def extend(self, steps: int) -> None:
        """Adds steps that turned out to be needed."""
        self._total += steps

    def say(self, text: str) -> None:
        """Prints one line that is not a step."""
        self._print(text)

    @contextmanager
    def _live(self, title: str, began: float) -> Iterator[None]:
        live = self._console.status(title) if self._console.is_terminal else None
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(1.0 if live else self._heartbeat):
                so_far = format_seconds(time.monotonic() - began)
                if live:
                    live.update(f"{title} … {so_far}")
                else:
                    self._print(f"{title}: {so_far} so far")

        if live:
            live.start()
        else:
            self._print(f"{title} …")
        thread = threading.Thread(target=beat, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            if live:
                live.stop()

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)
