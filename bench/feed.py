"""A process that plays an API server's watch, so that what it costs to send is not counted as what it costs to read.

Every connection gets the same lines, rendered before it comes: chunked HTTP, one chunk for each event, as fast as it
reads. First comes the list, every pod once; then, after each ``POST /go/N``, N waves, in each of which every pod
changes once. So whoever measures begins at a known moment, and decides whether events can merge in a queue.
"""

from __future__ import annotations

import argparse
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import pods

__all__ = ["feed", "serve"]

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_BATCH = 64  # events in one write; the kernel would merge them anyway, since the reader is the slower side
_ROOT = Path(__file__).parents[1]


@contextmanager
def feed(shape: str, count: int, waves: int) -> Iterator[str]:
    """Run the process; yields its URL.

    Args:
        shape: of the pods, a name of :data:`bench.pods.SHAPES`.
        count: of pods.
        waves: how many there are.
    """
    command = [sys.executable, "-m", "bench.feed", shape, str(count), str(waves)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def serve(shape: str, count: int, waves: int) -> socketserver.ThreadingTCPServer:
    """A server on loopback, bound but not started: call ``serve_forever``, then ``shutdown`` and ``server_close``."""
    listed = _batches([pods.line("ADDED", shape, number, 1001 + number) for number in range(count)])
    listed.append(_chunk(pods.initial_events_end(1000 + count)))
    changes = [
        _batches([pods.line("MODIFIED", shape, number, 1001 + wave * count + number) for number in range(count)])
        for wave in range(1, waves + 1)
    ]
    gates: list[threading.Semaphore] = []  # one for each watch, those of the past included

    class Handler(socketserver.StreamRequestHandler):
        """One connection, one request."""

        def handle(self) -> None:
            """Answer it."""
            request = self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            with suppress(OSError):  # readers leave when they have enough
                if request.startswith(b"POST /go/"):
                    for gate in gates:
                        gate.release(int(request.split()[1][4:]))
                    self.wfile.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
                    return
                self.wfile.write(_HEAD)
                gate = threading.Semaphore(0)
                gates.append(gate)
                self._send(listed)
                for wave in changes:
                    gate.acquire()
                    self._send(wave)
                self.rfile.read(1)  # stay open until the reader leaves

        def _send(self, batches: Sequence[bytes]) -> None:
            for batch in batches:
                self.wfile.write(batch)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


def _batches(lines: Sequence[bytes]) -> list[bytes]:
    chunks = [_chunk(line) for line in lines]
    return [b"".join(chunks[start : start + _BATCH]) for start in range(0, len(chunks), _BATCH)]


def _chunk(line: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(line), line)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=pods.SHAPES)
    parser.add_argument("count", type=int)
    parser.add_argument("waves", type=int)
    wanted = parser.parse_args()
    with serve(wanted.shape, wanted.count, wanted.waves) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        os.read(0, 1)  # ends with whoever started it, too


if __name__ == "__main__":
    _main()
