"""A whole control plane as one object: ``async with Cluster() as cluster``."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import tempfile
import urllib.request
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from hack.controlplane import audit, components, crds, lws, nodes
from hack.controlplane.api import Api, Manifest
from hack.controlplane.build import Build, ensure_built
from hack.controlplane.component import Component, http_ok
from hack.controlplane.components import Layout, Ports
from hack.controlplane.credentials import (
    ADMIN,
    COMPONENTS,
    CONTROLLER,
    NOBODY,
    Authority,
    User,
    kubeconfig,
    new_tokens,
    service_account_keys,
    token_file,
    write_private,
)
from hack.controlplane.errors import HttpError, PortTakenError, StateError
from hack.controlplane.ports import LOOPBACK, free_ports
from hack.controlplane.process import Process
from hack.controlplane.state import Ledger
from hack.controlplane.waiting import eventually
from rbgctrl.clock import Now, utcnow

__all__ = ["Cluster", "ClusterOptions"]

_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterOptions:
    """What a cluster is made of.

    Attributes:
        nodes: How many fake GPU nodes it begins with: 8 GPUs each, four to an NVLink domain, domains over two zones.
        lws: Whether the LeaderWorkerSet controller runs.
        audit: Whether every request is logged, for ``Cluster.audit_events``.
        gang: Whether the PodGroup kinds of scheduler-plugins and Volcano exist. Nothing acts on them.
        crds: Files or folders of CRDs to install, without their conversion webhooks.
        users: Who may log in, beside the admin.
        apiserver_flags: Further flags; they win over ours.
        node_grace: Seconds without a sign of life until the node lifecycle controller counts a node as lost.
        detached: Whether the processes live on when this one ends; ``Ledger.end_all`` ends them then.
        within: Seconds for each component to become ready.
    """

    nodes: int = 4
    lws: bool = False
    audit: bool = False
    gang: bool = True
    crds: tuple[Path, ...] = ()
    users: tuple[User, ...] = (NOBODY, CONTROLLER)
    apiserver_flags: tuple[str, ...] = ()
    node_grace: float = 3600.0
    detached: bool = False
    within: float = 120.0


async def _together(work: list[Coroutine[Any, Any, None]]) -> None:
    """Awaits all of ``work``; when one fails the rest is cancelled and over before the error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in work:
                group.create_task(part)
    except BaseExceptionGroup as failed:
        taken = [error for error in failed.exceptions if isinstance(error, PortTakenError)]
        raise (taken or failed.exceptions)[0] from failed


class Cluster:
    """etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok and, on request, the LWS controller.

    Every process listens on loopback ports of its own, so clusters run side by side. Unless detached, the processes
    end with the thread that started them, even when it is killed: start a cluster in the main thread. It is not bound
    to an event loop.

    Args:
        options: What it is made of.
        state: Folder for everything it writes; a temporary one, removed at the end, by default.
        now: The wall clock, for certificates.

    Attributes:
        etcd, apiserver, controller_manager, scheduler, kwok, lws: The running components (``lws`` only with the
            option): pid, log, and the faults ``kill``, ``stop``, ``restart``, ``pause``, ``resume``.
        build: The programs and foreign manifests.
    """

    etcd: Component
    apiserver: Component
    controller_manager: Component
    scheduler: Component
    kwok: Component
    lws: Component
    build: Build

    def __init__(self, options: ClusterOptions | None = None, *, state: Path | None = None, now: Now = utcnow) -> None:
        self.options = options or ClusterOptions()
        self._temporary = state is None
        self._state = state
        self._now = now
        self._started: list[Component] = []
        self._tokens: dict[str, str] = {}
        self._authority: Authority | None = None
        self._ports: Ports | None = None

    async def __aenter__(self) -> Self:
        """Starts it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops it."""
        await self.stop()

    # -- where and who -------------------------------------------------------------------------------------------

    @property
    def layout(self) -> Layout:
        """Where its files are."""
        if self._state is None:
            self._state = Path(tempfile.mkdtemp(prefix="rbgctrl-"))
        return Layout(self._state.resolve())

    @property
    def ports(self) -> Ports:
        """Its ports; they stay the same over restarts of components."""
        if self._ports is None:
            raise StateError("the cluster was not started")
        return self._ports

    @property
    def url(self) -> str:
        """The API server: ``https://127.0.0.1:<port>``."""
        return f"https://{LOOPBACK}:{self.ports.apiserver}"

    @property
    def ca_pem(self) -> bytes:
        """The authority that signed every serving certificate of the cluster."""
        return self.authority.pem

    @property
    def authority(self) -> Authority:
        """Signs further certificates, e.g. of a webhook under test."""
        if self._authority is None:
            raise StateError("the cluster was not started")
        return self._authority

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig file."""
        return self.layout.kubeconfig()

    def kubeconfig_for(self, user: str) -> Path:
        """The kubeconfig file of a user, by key: ``admin``, ``nobody``, ``controller`` or one of the options."""
        return self.layout.kubeconfig(user)

    async def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Writes a kubeconfig that presents a token of an existing ServiceAccount, as its pods would.

        Raises:
            HttpError: 404 when there is no such ServiceAccount.
        """
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        ask = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86_400}}
        async with self.api() as api:
            token = (await api.request("POST", path, body=ask))["status"]["token"]
        text = kubeconfig(self.url, self.ca_pem, token, user=name, namespace=namespace)
        return write_private(self.layout.kubeconfig(f"{namespace}.{name}"), text.encode())

    def api(self, user: str = "admin", *, agent: str = "rbgctrl-hack") -> Api:
        """A client that acts as ``user`` (a key); an async context manager."""
        return Api(self.url, self.ca_pem, self._tokens[user], agent=agent)

    def read(self, path: str) -> Any:
        """One GET as the admin, without an event loop: for reports on failures."""
        request = urllib.request.Request(  # noqa: S310 - always our https URL
            self.url + path, headers={"Authorization": f"Bearer {self._tokens[ADMIN.key]}"}
        )
        tls = ssl.create_default_context(cadata=self.ca_pem.decode())
        with urllib.request.urlopen(request, timeout=5.0, context=tls) as answer:  # noqa: S310 - as above
            return msgspec.json.decode(answer.read())

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts everything; returns when it can be used.

        Raises:
            StateError: the state folder runs a cluster already.
            ComponentExitedError, DeadlineError: a component failed; whatever ran is stopped again.
            BuildError, ToolchainError: the programs were not in the cache and could not be built.
        """
        if Ledger(self.layout.root).alive():
            raise StateError(f"{self.layout.root} runs a cluster already")
        self.build = await asyncio.to_thread(ensure_built)
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                self._reset()
                try:
                    await self._start_components()
                    break
                except PortTakenError:
                    await self._stop_components()
                    if attempt == _ATTEMPTS:
                        raise
            await self._furnish()
        except BaseException:
            await self.stop()
            raise
        Ledger(self.layout.root).set_kubeconfig(self.kubeconfig)

    async def stop(self) -> None:
        """Stops everything and removes data and keys; logs stay unless the folder was temporary."""
        await self._stop_components()
        layout = self.layout
        Ledger(layout.root).path.unlink(missing_ok=True)
        layout.discard()
        if self._temporary:
            shutil.rmtree(layout.root, ignore_errors=True)

    def _reset(self) -> None:
        layout = self.layout
        layout.discard()
        shutil.rmtree(layout.logs, ignore_errors=True)
        layout.pki.mkdir(parents=True)
        layout.logs.mkdir()
        self._ports = Ports(*free_ports(Ports.count()))
        self._write_credentials()

    def _write_credentials(self) -> None:
        layout = self.layout
        self._authority = Authority(layout.pki, self._now())
        local = ["localhost", LOOPBACK]
        self._authority.issue("apiserver", [*local, "kubernetes.default.svc", "10.96.0.1"])
        self._authority.issue("component", local)
        service_account_keys(layout.pki)
        users = (ADMIN, *COMPONENTS, *self.options.users)
        self._tokens = new_tokens(users)
        write_private(layout.tokens, token_file(users, self._tokens).encode())
        for user in users:
            text = kubeconfig(self.url, self.ca_pem, self._tokens[user.key], user=user.key)
            write_private(layout.kubeconfig(user.key), text.encode())
        if self.options.audit:
            layout.audit_policy.write_text(components.AUDIT_POLICY)

    # -- components ----------------------------------------------------------------------------------------------

    def _component(self, name: str, arguments: list[str], url: str, **more: Any) -> Component:
        process = Process(
            name,
            [self.build.program(name), *arguments],
            log=self.layout.log(name),
            ledger=Ledger(self.layout.root),
            tied=not self.options.detached,
        )
        secure = url.startswith("https:")
        token = self._tokens[ADMIN.key] if name == "kube-apiserver" else ""

        async def ready() -> bool:
            return await http_ok(url, ca_pem=self.ca_pem if secure else None, token=token)

        return Component(process, ready, within=self.options.within, **more)

    async def _run(self, component: Component) -> None:
        self._started.append(component)
        await component.start()

    async def _start_components(self) -> None:
        options, layout, ports = self.options, self.layout, self.ports
        plain, tls = f"http://{LOOPBACK}", f"https://{LOOPBACK}"
        self.etcd = self._component("etcd", components.etcd(layout, ports), f"{plain}:{ports.etcd}/health")
        await self._run(self.etcd)
        arguments = components.apiserver(layout, ports, audit=options.audit, flags=options.apiserver_flags)
        self.apiserver = self._component("kube-apiserver", arguments, f"{self.url}/readyz")
        await self._run(self.apiserver)

        arguments = components.controller_manager(layout, ports, node_grace=options.node_grace)
        url = f"{tls}:{ports.controller_manager}/healthz"
        self.controller_manager = self._component("kube-controller-manager", arguments, url)
        url = f"{tls}:{ports.scheduler}/healthz"
        self.scheduler = self._component("kube-scheduler", components.scheduler(layout, ports), url)
        arguments = components.kwok(layout, ports, node_grace=options.node_grace)
        url = f"{plain}:{ports.kwok}/healthz"
        self.kwok = self._component("kwok", arguments, url, prepare=self._release_nodes)
        parts = [self.controller_manager, self.scheduler, self.kwok]
        if options.lws:
            url = f"{plain}:{ports.lws_health}/readyz"
            self.lws = self._component("lws", components.lws(layout), url)
            await self._install_lws()
            parts.append(self.lws)
        await _together([self._run(part) for part in parts])

    async def _stop_components(self) -> None:
        """Last started first; the API server's clients go together, so that none fills its log with complaints."""
        clients = [c for c in self._started if c.name not in {"etcd", "kube-apiserver"}]
        servers = [c for c in reversed(self._started) if c not in clients]
        try:
            await asyncio.gather(*(component.stop(grace=5.0) for component in clients))
            for component in servers:
                await component.stop(grace=5.0)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.gather(*(c.kill() for c in self._started)))
            raise
        self._started.clear()

    async def _release_nodes(self) -> None:
        # kwok serves a node only while it holds the node's lease, and a new kwok waits until the old one's expires.
        async with self.api() as api:
            path = await api.path("coordination.k8s.io/v1", "Lease", "kube-node-lease")
            await api.request("DELETE", path)

    # -- what is in it -------------------------------------------------------------------------------------------

    async def _install_lws(self) -> None:
        folder, ports = self.build.manifests("lws"), self.ports
        write = lws.write_configuration
        write(self.layout.pki, self.authority, webhook_port=ports.lws_webhook, health_port=ports.lws_health)
        async with self.api() as api:
            await crds.install(api, crds.load([folder]), within=self.options.within)
            await api.apply_all(lws.render(folder, port=ports.lws_webhook, ca_pem=self.ca_pem))

    async def _furnish(self) -> None:
        options = self.options
        async with self.api() as api:
            gang = [self.build.manifests("scheduler-plugins"), crds.FOREIGN] if options.gang else []
            found = [crds.without_conversion_webhook(crd) for crd in crds.load([*gang, *options.crds])]
            await crds.install(api, found, within=options.within)
            await nodes.add(api, nodes.domain_nodes(options.nodes), within=options.within)
            if options.lws:
                await self._lws_answers(api)

    async def _lws_answers(self, api: Api) -> None:
        # Its readiness says nothing about its webhooks, nor whether the API server knows of them yet.
        probe = lws.example("probe", "default")

        async def accepted() -> bool:
            return bool((await api.create(probe, dry_run=True))["spec"]["rolloutStrategy"])

        await eventually(accepted, self.options.within, what="the LWS webhooks", retry_on=(HttpError, KeyError))

    async def install_crds(self, *paths: Path) -> None:
        """Installs the CRDs of these files and folders, without their conversion webhooks, and waits for them."""
        async with self.api() as api:
            found = [crds.without_conversion_webhook(crd) for crd in crds.load(paths)]
            await crds.install(api, found, within=self.options.within)

    async def add_nodes(self, *manifests: Manifest) -> None:
        """Creates nodes (see ``nodes.node``) and waits until pods can be bound to them."""
        async with self.api() as api:
            await nodes.add(api, manifests, within=self.options.within)

    # -- what happened -------------------------------------------------------------------------------------------

    def audit_mark(self) -> int:
        """A mark for ``audit_events``: what was answered until now lies before it."""
        return audit.size(self.layout.audit_log)

    def audit_events(self, *, after: int = 0, user: str = "", agent: str = "") -> list[audit.AuditEvent]:
        """The requests answered since the mark ``after``; needs the option ``audit``.

        Args:
            after: A mark; 0 for the beginning.
            user: Only this user name (not key).
            agent: Only user agents that begin with this.
        """
        if not self.options.audit:
            raise StateError("the cluster was started without audit")
        found = audit.read_events(self.layout.audit_log, after)
        return [e for e in found if user in {"", e.username} and e.user_agent.startswith(agent)]

    def logs(self, lines: int = 30) -> dict[str, str]:
        """The last lines of each component's log, by component."""
        return {component.name: component.log_tail(lines) for component in self._started}
