"""A table of a page, and the forms in which figures are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PageTable:
    """Headings and rows, as Markdown writes them.

    Attributes:
        headings: the first may be empty.
        rows: as many cells as headings.
        notes: sentences below the table.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """The table and its notes; empty without rows."""
        if not self.rows:
            return ""
        lines = [_line(self.headings), "|" + "---|" * len(self.headings)]
        lines += [_line(row) for row in self.rows]
        text = "\n".join(lines) + "\n\n"
        return text + "".join(f"{note}\n\n" for note in dict.fromkeys(self.notes))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


NOTHING = "-"
"""A cell without a figure."""


def milliseconds(value: float | None) -> str:
    """A latency: three digits, and at least one decimal below a second."""
    if value is None:
        return NOTHING
    return f"{value:.0f} ms" if value >= 1000 else f"{value:.1f} ms"


def interval(stored: Mapping[str, float] | None, digits: int = 2) -> str:
    """A value with its 95% interval."""
    if stored is None:
        return NOTHING
    value, low, high = (f"{stored[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def megabytes(count: float | None) -> str:
    """A number of bytes, in units of 1e6."""
    if count is None:
        return NOTHING
    return f"{count / 1e6:.0f} MB" if count >= 50e6 else f"{count / 1e6:.1f} MB"


def decibels(value: float | None) -> str:
    """An SQNR; None stands for equal outputs."""
    return "equal" if value is None else f"{value:.1f} dB"


def percent(share: float | None, digits: int = 2) -> str:
    """A share of 1 as a percentage."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}%"


def seconds(value: float | None) -> str:
    """A duration."""
    return NOTHING if value is None else f"{value:.0f} s"


def worst_sqnr(parity: Mapping[str, Any]) -> str:
    """The lowest SQNR of a parity report's outputs."""
    known = [output["sqnr_db"] for output in parity["outputs"] if output["sqnr_db"] is not None]
    return decibels(min(known, default=None))


def arrow(before: str, after: str) -> str:
    """Two values, the unit once: `14.4 → 4.3 MB`."""
    number, _, unit = before.partition(" ")
    return f"{number} → {after}" if after.endswith(f" {unit}") else f"{before} → {after}"
