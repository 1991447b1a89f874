"""What the reconcilers are told by the flags of the daemon."""

from __future__ import annotations

from rbgctrl.api.podgroups import GangScheduler
from rbgctrl.daemon.settings import Settings
from rbgctrl.plan.ports import PortRange
from rbgctrl.reconcilers import ReconcilerOptions

__all__ = ["reconciler_options"]


def reconciler_options(settings: Settings) -> ReconcilerOptions:
    """The options that ``settings`` ask for."""
    return ReconcilerOptions(
        workers=settings.max_concurrent_reconciles,
        scheduler=GangScheduler(settings.scheduler_name),
        deprecated_workload_types=settings.enable_deprecated_workload_types,
        ports=PortRange(settings.start_port, settings.port_range) if settings.enable_port_allocator else None,
    )
