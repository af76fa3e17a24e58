"""The table of `lvt-bench compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_bench.report.tables import format_interval
from device_bench.results.compare import Comparison

if TYPE_CHECKING:
    from rich.table import Table


def comparison_table(comparison: Comparison, *, limit: float | None) -> Table:
    """One row per pair; with a `limit`, whether the pair exceeds it."""
    from rich.table import Table
    from rich.text import Text

    title = "median latency, ms; a ratio above 1 is slower"
    table = Table(title=title, title_justify="left")
    table.add_column("artifact", overflow="fold")
    for heading in ("backend", "file"):
        table.add_column(heading)
    for heading in ("before", "after", "ratio [95% CI]"):
        table.add_column(heading, justify="right")
    table.add_column("")
    if limit is not None:
        table.add_column(f"limit {limit:g}")
    for pair in comparison.pairs:
        row: list[str | Text] = [
            Text(pair.after.model.name),  # rich could read a plain string as markup
            pair.after.backend,
            "same" if pair.same_file else "different",
            f"{pair.before.latency.median.value:.2f}",
            f"{pair.after.latency.median.value:.2f}",
            format_interval(pair.ratio, 3),
            pair.verdict,
        ]
        if limit is not None:
            row.append("exceeded" if pair.exceeds(limit) else "met")
        table.add_row(*row)
    return table
