"""A process that plays an API server's watch, so that what it costs to send is not counted as what it costs to read.

Every connection gets the same lines, rendered before it comes: chunked HTTP, one chunk for each event, as fast as it
reads. A watch that asks for the initial list gets the mark of an empty one, and then a wave for each ``POST /go``: in a
wave every pod has one event. So whoever measures begins at a known moment, and no two events merge in a queue.
"""

from __future__ import annotations

import argparse
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import pods

__all__ = ["feed", "serve"]

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_BATCH = 64  # events in one write; the kernel would merge them anyway, since the reader is the slower side
_ROOT = Path(__file__).parents[1]


@contextmanager
def feed(shape: str, events: int, distinct: int) -> Iterator[str]:
    """Run the process; yields its URL.

    Args:
        shape: of the pods, a name of :data:`bench.pods.SHAPES`.
        events: in all.
        distinct: pods they are about.
    """
    command = [sys.executable, "-m", "bench.feed", shape, str(events), str(distinct)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def serve(lines: Iterable[bytes], wave: int, port: int = 0) -> socketserver.ThreadingTCPServer:
    """A server of these lines on loopback, bound but not started: call ``serve_forever``, then ``server_close``.

    Args:
        lines: events, each with its line feed.
        wave: after how many of them a watch that began with a list waits.
        port: to listen on; 0 for any.
    """
    chunks = [_chunk(line) for line in lines]
    waves = [_batches(chunks[start : start + wave]) for start in range(0, len(chunks), wave)]
    waiting: list[threading.Event] = []

    def wait() -> None:
        go = threading.Event()
        waiting.append(go)
        go.wait()

    class Handler(socketserver.StreamRequestHandler):
        """One connection, one request."""

        def handle(self) -> None:
            """Answer it."""
            request = self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            with suppress(OSError):  # readers leave when they have enough
                if request.startswith(b"POST"):
                    while waiting:
                        waiting.pop().set()
                    self.wfile.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
                    return
                self.wfile.write(_HEAD)
                waved = b"sendInitialEvents=true" in request
                if waved:
                    self.wfile.write(_chunk(pods.INITIAL_EVENTS_END + b"\n"))
                for batches in waves:
                    if waved:
                        wait()
                    for batch in batches:
                        self.wfile.write(batch)
                self.rfile.read(1)  # stay open until the reader leaves

    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    return server


def _batches(chunks: Sequence[bytes]) -> list[bytes]:
    return [b"".join(chunks[start : start + _BATCH]) for start in range(0, len(chunks), _BATCH)]


def _chunk(line: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(line), line)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=pods.SHAPES)
    parser.add_argument("events", type=int)
    parser.add_argument("distinct", type=int)
    wanted = parser.parse_args()
    with serve(pods.events(pods.SHAPES[wanted.shape], wanted.events, wanted.distinct), wanted.distinct) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        os.read(0, 1)  # ends with whoever started it, too


if __name__ == "__main__":
    _main()
