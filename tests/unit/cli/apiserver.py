"""An API server small enough to run in a thread: lists with selectors, watches, applies, and failures on request."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

Manifest = dict[str, Any]

_END = {"k8s.io/initial-events-end": "true"}


@dataclass
class ApiServer:
    """Objects by the path of their collection, in the order they were added.

    Attributes:
        url: of the server.
        failures: status, reason and message that paths beginning with a key are answered with.
        served: collections that exist; anything else is not found.
        asked: paths of all requests.
        establish: applied CRDs become Established, and their kinds are served.
    """

    url: str = ""
    failures: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    served: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    establish: bool = False
    _objects: dict[tuple[str, str, str], Manifest] = field(default_factory=dict)
    _watches: list[tuple[str, queue.Queue[bytes]]] = field(default_factory=list)
    _version: int = 100
    _lock: threading.RLock = field(default_factory=threading.RLock)
    watched: threading.Event = field(default_factory=threading.Event)

    def put(self, collection: str, manifest: Manifest) -> None:
        """Store an object, new or changed, and tell the watches."""
        metadata = manifest["metadata"]
        with self._lock:
            self.served.add(collection)
            self._version += 1
            key = (collection, metadata.get("namespace", ""), metadata["name"])
            change = "MODIFIED" if key in self._objects else "ADDED"
            self._objects[key] = manifest | {"metadata": {**metadata, "resourceVersion": str(self._version)}}
            self._tell(collection, change, self._objects[key])

    def remove(self, collection: str, namespace: str, name: str) -> None:
        """Delete an object."""
        with self._lock:
            self._version += 1
            found = self._objects.pop((collection, namespace, name))
            found = found | {"metadata": {**found["metadata"], "resourceVersion": str(self._version)}}
            self._tell(collection, "DELETED", found)

    def kubeconfig(self, path: Path, **user: Any) -> Path:
        """Writes a kubeconfig for this server."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user or {"token": "secret-token"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "me", "namespace": "ml"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def _tell(self, collection: str, change: str, manifest: Manifest) -> None:
        line = json.dumps({"type": change, "object": manifest}).encode() + b"\n"
        for path, lines in self._watches:
            if path == collection:
                lines.put(line)

    def select(self, collection: str, namespace: str, query: dict[str, str]) -> list[Manifest]:
        """Objects of a collection by label and field selector."""
        with self._lock:
            found = [m for (c, n, _), m in self._objects.items() if c == collection and namespace in ("", n)]
        return [m for m in found if _matches(m, query)]

    def find(self, collection: str, namespace: str, name: str) -> Manifest | None:
        """One object."""
        return self._objects.get((collection, namespace, name))

    def follow(self, collection: str, initial: list[Manifest]) -> queue.Queue[bytes]:
        """The lines of a watch that begins with a list."""
        lines: queue.Queue[bytes] = queue.Queue()
        with self._lock:
            for manifest in initial:
                lines.put(json.dumps({"type": "ADDED", "object": manifest}).encode() + b"\n")
            metadata = {"resourceVersion": str(self._version), "annotations": _END}
            lines.put(json.dumps({"type": "BOOKMARK", "object": {"metadata": metadata}}).encode() + b"\n")
            self._watches.append((collection, lines))
        self.watched.set()
        return lines

    def close_watches(self) -> None:
        """End all watches."""
        for _, lines in self._watches:
            lines.put(b"")

    @property
    def version(self) -> str:
        """The resourceVersion of a list."""
        return str(self._version)


def _matches(manifest: Manifest, query: dict[str, str]) -> bool:
    labels = manifest["metadata"].get("labels", {})
    name = query.get("fieldSelector", "").removeprefix("metadata.name=")
    if name and manifest["metadata"]["name"] != name:
        return False
    for term in filter(None, query.get("labelSelector", "").split(",")):
        key, equals, value = term.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _parsed(path: str) -> tuple[str, str, str]:
    """Collection, namespace and name of a path; the collection is ``group/version/plural``."""
    parts = unquote(path).strip("/").split("/")
    root, rest = ("/".join(parts[1:3]), parts[3:]) if parts[0] == "apis" else (parts[1], parts[2:])
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    return f"{root}/{rest[0]}", namespace, rest[1] if len(rest) > 1 else ""


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    state: ApiServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_PATCH(self) -> None:
        self._handle()

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        self.state.asked.append(parts.path)
        for prefix, (code, reason, message) in self.state.failures.items():
            if parts.path.startswith(prefix):
                self._status(code, reason, message)
                return
        if parts.path == "/version":
            self._json({"major": "1", "minor": "36", "gitVersion": "v1.36.3"})
            return
        collection, namespace, name = _parsed(parts.path)
        if self.command == "PATCH":
            self._apply(collection, namespace, name)
        elif collection not in self.state.served:
            self._status(404, "NotFound", "the server could not find the requested resource")
        elif name:
            self._one(collection, namespace, name)
        else:
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            self._many(collection, namespace, query)

    def _apply(self, collection: str, namespace: str, name: str) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body["metadata"].setdefault("uid", f"uid-{name}")
        if self.state.establish:
            body["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
            spec = body["spec"]
            versions = [version["name"] for version in spec["versions"]]
            self.state.served |= {f"{spec['group']}/{version}/{spec['names']['plural']}" for version in versions}
        self.state.put(collection, body)
        self._json(self.state.find(collection, namespace, name))

    def _one(self, collection: str, namespace: str, name: str) -> None:
        found = self.state.find(collection, namespace, name)
        if found is None:
            self._status(404, "NotFound", f'{collection.rpartition("/")[2]} "{name}" not found')
        else:
            self._json(found)

    def _many(self, collection: str, namespace: str, query: dict[str, str]) -> None:
        items = self.state.select(collection, namespace, query)
        if query.get("watch") == "true":
            self._watch(self.state.follow(collection, items))
        else:
            self._json({"kind": "List", "metadata": {"resourceVersion": self.state.version}, "items": items})

    def _watch(self, lines: queue.Queue[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # a client that has heard enough
            while line := lines.get():
                self.wfile.write(line)
                self.wfile.flush()

    def _json(self, body: Any, code: int = 200) -> None:
        data = json.dumps(body).encode()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def _status(self, code: int, reason: str, message: str) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        self._json(status | {"code": code, "reason": reason, "message": message}, code)


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """A running server."""
    state = ApiServer()
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="api server")
        thread.start()
        try:
            yield state
        finally:
            state.close_watches()
            server.shutdown()
            thread.join()
