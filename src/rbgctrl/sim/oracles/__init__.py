"""What must be true after a history of changes, asked of the system from outside. Needs no hypothesis.

* :func:`consistency`: what the spec says is in the system, and what the statuses say is true.
* :func:`births`: every child was made when and from what it should have been.
* :func:`differential`: the end is that of a fresh apply of the last spec.
* :func:`recovery`: nothing is left of faults that were mended.
* :func:`idempotence`: applying the same again, time, and resyncs write nothing.

:func:`judge` asks them all about a sequence of :class:`Step`. Where the sequences come from:
:mod:`rbgctrl.sim.mutation`, or your own hand.
"""

from __future__ import annotations

from rbgctrl.sim.oracles.consistency import consistency
from rbgctrl.sim.oracles.differential import Ending, Held, differential, ending, fresh, holds
from rbgctrl.sim.oracles.history import births
from rbgctrl.sim.oracles.judge import examine, idempotence, judge, recovery
from rbgctrl.sim.oracles.steps import Played, Step, play, rest
from rbgctrl.sim.oracles.verdict import Verdict, admitted, verdict

__all__ = [
    "Ending",
    "Held",
    "Played",
    "Step",
    "Verdict",
    "admitted",
    "births",
    "consistency",
    "differential",
    "ending",
    "examine",
    "fresh",
    "holds",
    "idempotence",
    "judge",
    "play",
    "recovery",
    "rest",
    "verdict",
]
