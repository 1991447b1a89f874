"""List, watch, remember: an indexed in-memory view of the cluster that knows how current it is."""

from __future__ import annotations

from rbgctrl.informers.cache import Cache
from rbgctrl.informers.change import Change, ChangeType, Handler
from rbgctrl.informers.index import Index
from rbgctrl.informers.informer import Informer, InformerStatistics
from rbgctrl.informers.signals import InformerOptions, ResourceVersionError, WatchError
from rbgctrl.informers.source import InformerObserver, ListerWatcher
from rbgctrl.informers.store import Store

__all__ = [
    "Cache",
    "Change",
    "ChangeType",
    "Handler",
    "Index",
    "Informer",
    "InformerObserver",
    "InformerOptions",
    "InformerStatistics",
    "ListerWatcher",
    "ResourceVersionError",
    "Store",
    "WatchError",
]
