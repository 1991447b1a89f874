"""Which ready key runs next: by lane, then by namespace in turn, then first come. Pure; ``now`` is an argument.

**Guarantees.**

* A key waits once. Adding it again can only raise it, to the end of the better lane.
* A better lane goes first, but a key that waited ``ageing`` seconds moves up one lane, so nothing starves.
* Within a lane namespaces take turns: while a key waits behind ``n`` keys of its own namespace, each other
  namespace is served at most ``n + 1`` times. Ten thousand keys of one tenant delay another's single key by one.
* Every operation takes constant time, apart from moving aged keys, which is paid once per key and lane.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from rbgctrl.api.meta import Key
from rbgctrl.runtime.result import Priority

__all__ = ["LANES", "Lanes", "Waiting"]

LANES: tuple[Priority, ...] = tuple(sorted(Priority, reverse=True))
"""All lanes, best first."""

_LANE = {priority: index for index, priority in enumerate(LANES)}


class Waiting(msgspec.Struct, gc=False):
    """One ready key. A Struct, which the garbage collector does not look at: a backlog may be long.

    Attributes:
        key: which.
        priority: as it was added, whatever lane it has aged into.
        lane: index in :data:`LANES` of where it waits.
        since: when it became ready, seconds of the loop's clock.
        entered: when it came into its present lane.
    """

    key: Key
    priority: Priority
    lane: int
    since: float
    entered: float


class _Lane:
    """Keys of one lane: a ring of namespaces, each with its keys in order of arrival.

    A lane that keys can age out of also keeps them in order of arrival across namespaces.
    """

    __slots__ = ("ageing", "arrivals", "ring")

    def __init__(self, *, ageing: bool) -> None:
        self.ring: OrderedDict[str, OrderedDict[Key, Waiting]] = OrderedDict()
        self.ageing = ageing
        self.arrivals: OrderedDict[Key, Waiting] = OrderedDict()

    def push(self, item: Waiting) -> None:
        namespace = item.key[0]
        line = self.ring.get(namespace)
        if line is None:
            line = self.ring[namespace] = OrderedDict()
        line[item.key] = item
        if self.ageing:
            self.arrivals[item.key] = item

    def pop(self) -> Waiting | None:
        """The first key of the namespace whose turn it is; the turn passes on."""
        if not self.ring:
            return None
        namespace = next(iter(self.ring))
        line = self.ring[namespace]
        key, item = line.popitem(last=False)
        if line:
            self.ring.move_to_end(namespace)
        else:
            del self.ring[namespace]
        if self.ageing:
            del self.arrivals[key]
        return item

    def remove(self, item: Waiting) -> None:
        line = self.ring[item.key[0]]
        del line[item.key]
        if not line:
            del self.ring[item.key[0]]
        if self.ageing:
            del self.arrivals[item.key]


class Lanes:
    """The ready keys of a work queue.

    Args:
        ageing: seconds after which a waiting key moves up one lane.
    """

    def __init__(self, *, ageing: float = 30.0) -> None:
        self._ageing = ageing
        self._lanes = tuple(_Lane(ageing=index > 0) for index in range(len(LANES)))
        self._waiting: dict[Key, Waiting] = {}
        self._depth = dict.fromkeys(LANES, 0)

    def add(self, key: Key, priority: Priority, now: float, *, since: float | None = None) -> bool:
        """Make ``key`` wait, or raise it when it waits already at a lower priority.

        Args:
            key: which.
            priority: its lane.
            now: the loop's clock, in seconds; never smaller than in an earlier call.
            since: when it became ready, if that was before ``now``.

        Returns:
            Whether it was not waiting before.
        """
        item = self._waiting.get(key)
        if item is not None:
            if priority > item.priority:
                self._raise(item, priority, now)
            return False
        item = Waiting(key, priority, _LANE[priority], now if since is None else since, now)
        self._waiting[key] = item
        self._depth[priority] += 1
        self._lanes[item.lane].push(item)
        return True

    def _raise(self, item: Waiting, priority: Priority, now: float) -> None:
        self._depth[item.priority] -= 1
        self._depth[priority] += 1
        item.priority = priority
        lane = _LANE[priority]
        if lane < item.lane:  # otherwise it has aged this far already, and keeps its place
            self._move(item, lane, now)

    def _move(self, item: Waiting, lane: int, now: float) -> None:
        self._lanes[item.lane].remove(item)
        item.lane, item.entered = lane, now
        self._lanes[lane].push(item)

    def pop(self, now: float) -> Waiting | None:
        """Take the key that runs next, or None when none waits."""
        self._age(now)
        for lane in self._lanes:
            item = lane.pop()
            if item is not None:
                del self._waiting[item.key]
                self._depth[item.priority] -= 1
                return item
        return None

    def _age(self, now: float) -> None:
        for index, lane in enumerate(self._lanes):
            arrivals = lane.arrivals
            while arrivals:
                oldest = next(iter(arrivals.values()))
                if now - oldest.entered < self._ageing:
                    break
                self._move(oldest, index - 1, now)

    def clear(self) -> None:
        """Forget every waiting key."""
        for lane in self._lanes:
            lane.ring.clear()
            lane.arrivals.clear()
        self._waiting.clear()
        self._depth = dict.fromkeys(LANES, 0)

    def depth(self) -> dict[Priority, int]:
        """Waiting keys by the priority they were added with."""
        return dict(self._depth)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: object) -> bool:
        return key in self._waiting
