"""Controllers for role-based groups on Kubernetes, in asyncio: a library and a daemon.

The names most programs need are here; each is imported when it is first used, so importing the package costs nothing.
Reading order: :mod:`rbgctrl.client` (one door to the API server), :mod:`rbgctrl.informers` (an indexed view of the
cluster), :mod:`rbgctrl.runtime` (queue, controller, executor, manager), :mod:`rbgctrl.api`, :mod:`rbgctrl.graph` and
:mod:`rbgctrl.plan` (the pure core), :mod:`rbgctrl.reconcilers` (what makes it this product).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rbgctrl.version import __version__

if TYPE_CHECKING:
    from rbgctrl import reconcilers
    from rbgctrl.api.groups import RoleBasedGroup
    from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
    from rbgctrl.api.meta import Key, Kind, Resource
    from rbgctrl.client import ApiError, Client, ClientOptions, connect
    from rbgctrl.informers import Cache, Change, Informer, Store
    from rbgctrl.plan.model import Apply, Create, Delete, Note, Patch, Plan, Severity, Subject
    from rbgctrl.runtime import finalizers, handlers, predicates
    from rbgctrl.runtime.barrier import Barrier
    from rbgctrl.runtime.controller import Controller, ControllerOptions
    from rbgctrl.runtime.executor import Executor
    from rbgctrl.runtime.leader import LeaseElector, LeaseLostError, LeaseOptions
    from rbgctrl.runtime.manager import Manager, ManagerOptions
    from rbgctrl.runtime.queue import WorkQueue
    from rbgctrl.runtime.result import DONE, Reconciler, Request, Result, TerminalError

_HOMES = {
    "rbgctrl.api.groups": ("RoleBasedGroup",),
    "rbgctrl.api.instances": ("RoleInstance", "RoleInstanceSet"),
    "rbgctrl.api.meta": ("Key", "Kind", "Resource"),
    "rbgctrl.client": ("ApiError", "Client", "ClientOptions", "connect"),
    "rbgctrl.informers": ("Cache", "Change", "Informer", "Store"),
    "rbgctrl.plan.model": ("Apply", "Create", "Delete", "Note", "Patch", "Plan", "Severity", "Subject"),
    "rbgctrl.runtime.barrier": ("Barrier",),
    "rbgctrl.runtime.controller": ("Controller", "ControllerOptions"),
    "rbgctrl.runtime.executor": ("Executor",),
    "rbgctrl.runtime.leader": ("LeaseElector", "LeaseLostError", "LeaseOptions"),
    "rbgctrl.runtime.manager": ("Manager", "ManagerOptions"),
    "rbgctrl.runtime.queue": ("WorkQueue",),
    "rbgctrl.runtime.result": ("DONE", "Reconciler", "Request", "Result", "TerminalError"),
}
_MODULES = {
    "finalizers": "rbgctrl.runtime.finalizers",
    "handlers": "rbgctrl.runtime.handlers",
    "predicates": "rbgctrl.runtime.predicates",
    "reconcilers": "rbgctrl.reconcilers",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DONE",
    "ApiError",
    "Apply",
    "Barrier",
    "Cache",
    "Change",
    "Client",
    "ClientOptions",
    "Controller",
    "ControllerOptions",
    "Create",
    "Delete",
    "Executor",
    "Informer",
    "Key",
    "Kind",
    "LeaseElector",
    "LeaseLostError",
    "LeaseOptions",
    "Manager",
    "ManagerOptions",
    "Note",
    "Patch",
    "Plan",
    "Reconciler",
    "Request",
    "Resource",
    "Result",
    "RoleBasedGroup",
    "RoleInstance",
    "RoleInstanceSet",
    "Severity",
    "Store",
    "Subject",
    "TerminalError",
    "WorkQueue",
    "__version__",
    "connect",
    "finalizers",
    "handlers",
    "predicates",
    "reconcilers",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _HOME:
        found = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
