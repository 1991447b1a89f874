"""What tests on the embedded cluster share: the daemon on it, and a client with the face of the end-to-end tests'."""

from __future__ import annotations

from sim.support.world import NAMESPACE, InProcess, World, world

__all__ = ["NAMESPACE", "InProcess", "World", "world"]
