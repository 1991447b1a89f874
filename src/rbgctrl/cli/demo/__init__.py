"""``rbgctrl demo``: a cluster, the daemon and an example on this machine, from nothing to Ready in one command."""

from __future__ import annotations

from rbgctrl.cli.demo.play import DemoRequest, demo

__all__ = ["DemoRequest", "demo"]
