"""Rows of measured figures, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

__all__ = ["Row", "show"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure.

    Attributes:
        bench: which benchmark found it.
        what: what was counted or measured.
        value: the figure.
        unit: of the figure, ``""`` for a plain count.
        budget: what it should be, in words; ``""`` when there is no budget.
        exact: whether it is a count that is always the same, so that a miss is a failure.
        met: whether the budget is met; None when there is none.
    """

    bench: str
    what: str
    value: float
    unit: str = ""
    budget: str = ""
    exact: bool = False
    met: bool | None = None


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the rows as a table."""
    table = Table("benchmark", "what", "value", "unit", "budget", "met", box=None)
    for row in rows:
        value = f"{row.value:,.0f}" if row.value >= 100 or row.value == int(row.value) else f"{row.value:,.2f}"
        met = "" if row.met is None else ("yes" if row.met else "NO")
        table.add_row(row.bench, row.what, value, row.unit, row.budget, met)
    console.print(table)
