"""A small client of the API server for set-up and checks: plain dicts, verified TLS, a bearer token.

It shares no code with the library under test, so a fault there cannot hide itself here.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
import yaml

from hack.controlplane.errors import HttpError

__all__ = ["Api", "Manifest", "load_yaml"]

Manifest = dict[str, Any]
_TYPES = {"apply": "application/apply-patch+yaml", "merge": "application/merge-patch+json"}


def load_yaml(text: str) -> list[Any]:
    """The documents of a YAML stream, usually manifests; empty ones are left out."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where PyYAML was built with libyaml
    return [document for document in yaml.load_all(text, loader) if document]


class Api:
    """An API server seen as one user. Use it as an async context manager, within one event loop.

    Args:
        server: ``https://host:port``.
        ca_pem: The authority that signed the server's certificate.
        token: Bearer token.
        agent: ``User-Agent``, by which an audit log tells these requests from others.
    """

    def __init__(self, server: str, ca_pem: bytes, token: str, *, agent: str = "rbgctrl-hack") -> None:
        self._server = server
        self._tls = ssl.create_default_context(cadata=ca_pem.decode())
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": agent}
        self._session: aiohttp.ClientSession | None = None
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}

    async def __aenter__(self) -> Self:
        """Opens the session."""
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=32)
        timeout = aiohttp.ClientTimeout(total=30.0)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """One request; the decoded answer, or text when the answer is not JSON.

        Raises:
            HttpError: any answer but 2xx.
            aiohttp.ClientError, TimeoutError: no answer.
        """
        if self._session is None:
            raise RuntimeError("use Api within 'async with'")
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": content_type} if data is not None else {}
        async with self._session.request(
            method, self._server + path, data=data, params=params, headers=headers
        ) as response:
            raw = await response.read()
            parsed = msgspec.json.decode(raw) if response.content_type == "application/json" and raw else raw.decode()
            if response.status >= 300:
                status = parsed if isinstance(parsed, dict) else {}
                raise HttpError(response.status, status.get("reason", ""), status.get("message", raw.decode()))
            return parsed

    async def path(self, api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
        """The path of a kind's collection, or of one object; found by discovery and remembered.

        Raises:
            HttpError: 404 when the server does not serve that kind.
        """
        root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        if (api_version, kind) not in self._resources:
            for found in (await self.request("GET", root))["resources"]:
                if "/" not in found["name"]:
                    self._resources[api_version, found["kind"]] = (found["name"], found["namespaced"])
        if (api_version, kind) not in self._resources:
            raise HttpError(404, "NotFound", f"the server serves no {kind} in {api_version}")
        plural, namespaced = self._resources[api_version, kind]
        scope = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")

    async def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest:
        """One object.

        Raises:
            HttpError: 404 when there is none.
        """
        found: Manifest = await self.request("GET", await self.path(api_version, kind, namespace, name))
        return found

    async def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """One object, None when there is none."""
        try:
            return await self.get(api_version, kind, name, namespace)
        except HttpError as error:
            if error.status != 404:
                raise
            return None

    async def items(self, api_version: str, kind: str, namespace: str = "", selector: str = "") -> list[Manifest]:
        """The objects of a kind in one namespace, or in all; ``selector`` selects by labels."""
        params = {"labelSelector": selector} if selector else {}
        path = await self.path(api_version, kind, namespace)
        found: list[Manifest] = (await self.request("GET", path, params=params))["items"]
        return found

    async def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Creates an object.

        Raises:
            HttpError: 409 when it exists, 422 when it is invalid.
        """
        path = await self._path_of(manifest, collection=True)
        params = {"dryRun": "All"} if dry_run else {}
        created: Manifest = await self.request("POST", path, body=manifest, params=params)
        return created

    async def apply(self, manifest: Manifest, *, manager: str = "hack", subresource: str = "") -> Manifest:
        """Server-side apply with force: creates the object, or makes its given fields as given."""
        path = await self._path_of(manifest) + (f"/{subresource}" if subresource else "")
        params = {"fieldManager": manager, "force": "true"}
        applied: Manifest = await self.request(
            "PATCH", path, body=manifest, params=params, content_type=_TYPES["apply"]
        )
        return applied

    async def apply_all(self, manifests: Sequence[Manifest], *, manager: str = "hack") -> None:
        """Applies in order."""
        for manifest in manifests:
            await self.apply(manifest, manager=manager)

    async def merge(
        self, api_version: str, kind: str, name: str, patch: Manifest, *, namespace: str = "", subresource: str = ""
    ) -> Manifest:
        """A JSON merge patch of one object or its subresource."""
        path = await self.path(api_version, kind, namespace, name) + (f"/{subresource}" if subresource else "")
        patched: Manifest = await self.request("PATCH", path, body=patch, content_type=_TYPES["merge"])
        return patched

    async def delete(self, api_version: str, kind: str, name: str, namespace: str = "", *, grace: int = -1) -> None:
        """Deletes one object; one that is not there is deleted already. ``grace``: seconds, -1 for the default."""
        path = await self.path(api_version, kind, namespace, name)
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        try:
            await self.request("DELETE", path, body=body if grace < 0 else {**body, "gracePeriodSeconds": grace})
        except HttpError as error:
            if error.status != 404:
                raise

    async def ready(self) -> bool:
        """Whether the API server says that it is ready. Never raises for one that is not there."""
        try:
            return bool(await self.request("GET", "/readyz") == "ok")
        except (HttpError, aiohttp.ClientError, TimeoutError):
            return False

    async def _path_of(self, manifest: Manifest, *, collection: bool = False) -> str:
        metadata = manifest["metadata"]
        name = "" if collection else metadata["name"]
        namespace = metadata.get("namespace", "default")
        return await self.path(manifest["apiVersion"], manifest["kind"], namespace, name)
