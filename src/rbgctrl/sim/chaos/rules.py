"""Decides which faults strike, the same way for every carrier, and remembers what it decided.

Each fault counts the requests or events that fit it, and draws its chances from a generator of its own: adding a
fault does not change what the others do.
"""

from __future__ import annotations

import random  # noqa: TID251 - seeded: the same seed gives the same faults
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rbgctrl.sim.chaos.faults import AnyFault
from rbgctrl.sim.chaos.match import Call, Frame
from rbgctrl.sim.chaos.trace import Armed, Decision, Trace

__all__ = ["Rules", "UnusedFaultError"]


class UnusedFaultError(AssertionError):
    """A fault was ordered that never struck: the test does not test what it says."""


@dataclass(slots=True)
class _Order:
    number: int
    fault: AnyFault
    chance: random.Random
    fitting: int = 0
    struck: int = 0
    withdrawn: bool = field(default=False)

    def decide(self) -> bool:
        match = self.fault.match
        self.fitting += 1
        if not match.chooses(self.fitting):
            return False
        if match.probability < 1.0 and self.chance.random() >= match.probability:
            return False
        self.struck += 1
        return True


class Rules:
    """The faults of one carrier.

    Args:
        faults: armed from the start.
        seed: decides every chance.
        trace: where decisions are written; a new one in memory by default.
        clock: seconds, for the trace.

    Attributes:
        trace: what was decided.
    """

    def __init__(
        self,
        faults: Iterable[AnyFault] = (),
        *,
        seed: int = 0,
        trace: Trace | None = None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.seed = seed
        self.trace = trace if trace is not None else Trace()
        self._clock = clock
        self._orders: list[_Order] = []
        self._seen = 0
        self.add(*faults)

    def add(self, *faults: AnyFault) -> None:
        """Arm further faults; they count from now on."""
        for fault in faults:
            number = len(self._orders)
            self._orders.append(_Order(number, fault, random.Random(f"{self.seed}/{number}")))  # noqa: S311 - not a secret
            self.trace.write(Armed(number=number, seed=self.seed, after=self._seen, fault=fault))

    def withdraw(self, *faults: AnyFault) -> None:
        """Strike with these no more."""
        for order in self._orders:
            order.withdrawn |= any(order.fault is fault for fault in faults)

    def on_call(self, call: Call) -> tuple[AnyFault, ...]:
        """The faults that strike a request, in the order they were armed."""
        self._seen += 1
        return self._decide(call, None)

    def on_frame(self, call: Call, frame: Frame) -> tuple[AnyFault, ...]:
        """The faults that strike an event of the watch that ``call`` opened."""
        self._seen += 1
        return self._decide(call, frame)

    def concerns(self, call: Call) -> bool:
        """Whether some fault may strike events of the watch that ``call`` opens."""
        return any(
            order.fault.on_frames and not order.withdrawn and _fits_watch(order.fault, call) for order in self._orders
        )

    def _decide(self, call: Call, frame: Frame | None) -> tuple[AnyFault, ...]:
        struck = []
        for order in self._orders:
            fault = order.fault
            if order.withdrawn or fault.on_frames is (frame is None):
                continue
            if not fault.match.fits(call, frame, fault.per_frame):
                continue
            strikes = order.decide()
            self.trace.write(
                Decision(
                    fault=order.number,
                    occurrence=order.fitting,
                    strikes=strikes,
                    at=self._clock(),
                    what=f"{call}: {frame}" if frame is not None else str(call),
                    nth=self._seen,
                )
            )
            if strikes:
                struck.append(fault)
        return tuple(struck)

    # Reports

    def count(self, fault: AnyFault) -> int:
        """How often a fault has struck."""
        return sum(order.struck for order in self._orders if order.fault == fault)

    def fitted(self, fault: AnyFault) -> int:
        """How many requests or events have fitted a fault, struck or not."""
        return sum(order.fitting for order in self._orders if order.fault == fault)

    def unused(self) -> tuple[AnyFault, ...]:
        """Faults that never struck."""
        return tuple(order.fault for order in self._orders if not order.struck)

    def check(self) -> None:
        """Raise unless every fault has struck.

        Raises:
            UnusedFaultError: names those that have not, and how often their patterns fitted.
        """
        idle = [f"{order.fault} (fitted {order.fitting} times)" for order in self._orders if not order.struck]
        if idle:
            raise UnusedFaultError("ordered, but never struck: " + "; ".join(idle))


def _fits_watch(fault: AnyFault, call: Call) -> bool:
    match = fault.match
    everything = type(match)(verb=match.verb, resource=match.resource, subresource=match.subresource, form=match.form)
    return everything.fits(call)
