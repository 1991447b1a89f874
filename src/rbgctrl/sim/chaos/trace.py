"""What was decided, as JSON lines, and how to have exactly the same again.

Flow: a carrier writes an :class:`Armed` for each fault and a :class:`Decision` for each request or event that fits
one. :func:`replay` reads them back and returns the same faults with every choice and every chance replaced by the
numbers of the occurrences that were struck.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import msgspec

from rbgctrl.sim.chaos.faults import AnyFault

__all__ = ["Armed", "Decision", "Entry", "Trace", "load", "replay"]

_NEVER = (2**62,)


class Armed(msgspec.Struct, frozen=True, kw_only=True, tag="armed", tag_field="entry"):
    """A fault began to count.

    Attributes:
        number: of the fault.
        seed: of the carrier.
        after: requests and events the carrier had seen before.
        fault: the fault.
    """

    number: int
    seed: int
    after: int
    fault: AnyFault


class Decision(msgspec.Struct, frozen=True, kw_only=True, tag="decision", tag_field="entry"):
    """Something fitted a fault.

    Attributes:
        fault: number of the fault.
        occurrence: number of this fit, from 1.
        strikes: whether the fault struck.
        at: time of the loop.
        what: the request or event.
        nth: number of the request or event on this carrier.
    """

    fault: int
    occurrence: int
    strikes: bool
    at: float
    what: str
    nth: int


Entry: TypeAlias = Armed | Decision

_decoder = msgspec.json.Decoder(Entry)


class Trace:
    """A record of decisions, in memory and, if a path is given, in a file of JSON lines as they are made.

    Args:
        path: the file; it is begun anew.

    Attributes:
        entries: the record.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self._path = path
        if path is not None:
            path.write_bytes(b"")

    def write(self, entry: Entry) -> None:
        """Add an entry."""
        self.entries.append(entry)
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(entry) + b"\n")

    def strikes(self) -> list[Decision]:
        """The decisions to strike, in order."""
        return [entry for entry in self.entries if isinstance(entry, Decision) and entry.strikes]

    def dump(self) -> bytes:
        """All entries as JSON lines."""
        return b"".join(msgspec.json.encode(entry) + b"\n" for entry in self.entries)


def load(source: Path | bytes) -> list[Entry]:
    """The entries of a trace.

    Raises:
        msgspec.DecodeError: it is not one.
    """
    data = source.read_bytes() if isinstance(source, Path) else source
    return [_decoder.decode(line) for line in data.splitlines() if line]


def replay(source: Trace | Path | bytes | Iterable[Entry]) -> list[AnyFault]:
    """The faults of a trace, tied to the occurrences they struck: the same faults again, whatever the seed.

    Arm them where the originals were armed; for those given to the carrier when it was made, that is there again. A
    fault that never struck stays one that never strikes.
    """
    if isinstance(source, Trace):
        entries: Iterable[Entry] = source.entries
    else:
        entries = load(source) if isinstance(source, Path | bytes) else source
    faults: dict[int, AnyFault] = {}
    struck: dict[int, list[int]] = {}
    for entry in entries:
        if isinstance(entry, Armed):
            faults[entry.number] = entry.fault
        elif entry.strikes:
            struck.setdefault(entry.fault, []).append(entry.occurrence)
    return [_tied(fault, tuple(struck.get(number, ())) or _NEVER) for number, fault in sorted(faults.items())]


def _tied(fault: AnyFault, occurrences: tuple[int, ...]) -> AnyFault:
    match = msgspec.structs.replace(fault.match, nth=occurrences, every=0, times=0, skip=0, probability=1.0)
    tied: AnyFault = msgspec.structs.replace(fault, match=match)
    return tied
