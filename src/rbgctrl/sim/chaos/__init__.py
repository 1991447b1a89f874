"""Faults on demand, addressed by meaning, repeatable from a seed, traced and replayed.

Two carriers obey the same rules: :class:`Chaos` around a client's transport, and :func:`chaos_proxy` in front of any
API server.
"""

from __future__ import annotations

from rbgctrl.sim.chaos.faults import (
    Answer,
    AnyFault,
    Bytewise,
    Crash,
    Delay,
    Discard,
    Drop,
    Duplicate,
    End,
    Ending,
    Fault,
    Gzip,
    Hold,
    Lag,
    Lump,
    Pad,
    Reorder,
    Replay,
    Retype,
    Rewind,
    Say,
    Side,
    Silence,
    SimulatedCrash,
    Swallow,
    Truncate,
)
from rbgctrl.sim.chaos.match import Call, Frame, Match
from rbgctrl.sim.chaos.rules import Rules, UnusedFaultError
from rbgctrl.sim.chaos.trace import Trace, load, replay
from rbgctrl.sim.chaos.transport import Chaos

__all__ = [
    "Answer",
    "AnyFault",
    "Bytewise",
    "Call",
    "Chaos",
    "Crash",
    "Delay",
    "Discard",
    "Drop",
    "Duplicate",
    "End",
    "Ending",
    "Fault",
    "Frame",
    "Gzip",
    "Hold",
    "Lag",
    "Lump",
    "Match",
    "Pad",
    "Reorder",
    "Replay",
    "Retype",
    "Rewind",
    "Rules",
    "Say",
    "Side",
    "Silence",
    "SimulatedCrash",
    "Swallow",
    "Trace",
    "Truncate",
    "UnusedFaultError",
    "load",
    "replay",
]
