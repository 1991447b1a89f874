"""A real control plane on this machine: built from pinned Go modules, run by pid, several side by side.

Use ``Cluster`` from tests and ``python -m hack.controlplane`` from a shell.
"""

from __future__ import annotations

from hack.controlplane.api import Api, Manifest
from hack.controlplane.audit import AuditEvent
from hack.controlplane.cluster import Cluster, ClusterOptions
from hack.controlplane.component import Component
from hack.controlplane.credentials import User
from hack.controlplane.waiting import eventually

__all__ = ["Api", "AuditEvent", "Cluster", "ClusterOptions", "Component", "Manifest", "User", "eventually"]
