"""The command line of each component, as a function of where its files are and which ports it got."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.controlplane.ports import LOOPBACK

__all__ = [
    "AUDIT_POLICY",
    "NAMES",
    "SERVICE_RANGE",
    "Layout",
    "Ports",
    "apiserver",
    "controller_manager",
    "etcd",
    "kwok",
    "lws",
    "scheduler",
]

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "lws")
"""Every component in the order of starting: each needs those before it."""

SERVICE_RANGE = "10.96.0.0/16"
_KWOK_STAGES = Path(__file__).with_name("kwok-stages.yaml")

# Nothing is left out: that a controller reads nothing is as much a promise as that it writes nothing.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of one cluster are."""

    root: Path

    @property
    def data(self) -> Path:
        """The data of etcd."""
        return self.root / "etcd"

    @property
    def pki(self) -> Path:
        """Keys, certificates and tokens."""
        return self.root / "pki"

    @property
    def tokens(self) -> Path:
        """The API server's token file."""
        return self.pki / "tokens.csv"

    @property
    def audit_policy(self) -> Path:
        """The API server's audit policy; only there with auditing on."""
        return self.pki / "audit-policy.yaml"

    @property
    def audit_log(self) -> Path:
        """One JSON event a line."""
        return self.logs / "audit.log"

    @property
    def logs(self) -> Path:
        """One log per component."""
        return self.root / "logs"

    def log(self, component: str) -> Path:
        """The log of ``component``."""
        return self.logs / f"{component}.log"

    def kubeconfig(self, user: str = "admin") -> Path:
        """The kubeconfig of ``user``; the admin's has the plain name."""
        return self.root / ("kubeconfig" if user == "admin" else f"kubeconfig.{user}")

    def discard(self) -> None:
        """Removes data, keys and kubeconfigs; logs stay."""
        for folder in (self.data, self.pki):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.kubeconfig(), *self.root.glob("kubeconfig.*")):
            file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one cluster, all on loopback."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    scheduler: int
    kwok: int
    lws_webhook: int
    lws_health: int

    @classmethod
    def count(cls) -> int:
        """How many ports a cluster needs."""
        return len(cls.__dataclass_fields__)


def etcd(layout: Layout, ports: Ports) -> list[str]:
    """A single etcd without fsync: its data need not survive the machine."""
    client, peer = f"http://{LOOPBACK}:{ports.etcd}", f"http://{LOOPBACK}:{ports.etcd_peer}"
    return [
        f"--data-dir={layout.data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver(layout: Layout, ports: Ports, *, audit: bool = False, flags: Sequence[str] = ()) -> list[str]:
    """kube-apiserver with static tokens and RBAC; ``flags`` come last and so win."""
    arguments = [
        f"--etcd-servers=http://{LOOPBACK}:{ports.etcd}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.apiserver}",
        *_serving(layout, "apiserver"),
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={layout.pki / 'sa.pub'}",
        f"--service-account-signing-key-file={layout.pki / 'sa.key'}",
        f"--token-auth-file={layout.tokens}",
        "--authorization-mode=RBAC",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
        "--enable-priority-and-fairness=false",
        # There is no network between pods and this server, so it must not publish itself as a Service.
        "--endpoint-reconciler-type=none",
        # Pods need no tokens here, and would have to wait for the namespace's default service account.
        "--disable-admission-plugins=ServiceAccount",
    ]
    if audit:
        arguments += [
            f"--audit-policy-file={layout.audit_policy}",
            f"--audit-log-path={layout.audit_log}",
            "--audit-log-maxsize=4096",  # megabytes; rotation would hide events from readers
        ]
    return [*arguments, *flags]


def controller_manager(layout: Layout, ports: Ports, *, node_grace: float = 3600.0) -> list[str]:
    """kube-controller-manager; ``node_grace``: seconds without a sign of life until a node counts as lost."""
    return [
        f"--kubeconfig={layout.kubeconfig('kube-controller-manager')}",
        f"--service-account-private-key-file={layout.pki / 'sa.key'}",
        f"--root-ca-file={layout.pki / 'ca.crt'}",
        "--leader-elect=false",
        "--controllers=*,-node-ipam-controller",
        # The node lifecycle controller must run, or nodes keep the taint of not being ready.
        f"--node-monitor-grace-period={node_grace:g}s",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.controller_manager}",
        *_serving(layout, "component"),
    ]


def scheduler(layout: Layout, ports: Ports) -> list[str]:
    """kube-scheduler, alone and so without leader election."""
    return [
        f"--kubeconfig={layout.kubeconfig('kube-scheduler')}",
        "--leader-elect=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.scheduler}",
        *_serving(layout, "component"),
    ]


def kwok(layout: Layout, ports: Ports, *, node_grace: float = 3600.0) -> list[str]:
    """The fake kubelet of every node; it renews its leases well within ``node_grace`` seconds."""
    return [
        f"--kubeconfig={layout.kubeconfig('kwok')}",
        "--manage-all-nodes",
        f"--config={_KWOK_STAGES}",
        f"--node-lease-duration-seconds={int(max(4, min(200, node_grace)))}",
        f"--server-address={LOOPBACK}:{ports.kwok}",
    ]


def lws(layout: Layout) -> list[str]:
    """The LeaderWorkerSet controller; everything else is in its configuration file."""
    return [f"--config={layout.pki / 'lws.yaml'}", f"--kubeconfig={layout.kubeconfig('lws')}", "--zap-log-level=1"]


def _serving(layout: Layout, name: str) -> list[str]:
    return [f"--tls-cert-file={layout.pki / f'{name}.crt'}", f"--tls-private-key-file={layout.pki / f'{name}.key'}"]
