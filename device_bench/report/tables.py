"""Results on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from device_bench.measure.statistics import Interval
from device_bench.results.read import Result, ResultFile

if TYPE_CHECKING:
    from rich.table import Table

    from lvt.support.terminal import Terminal

NOTABLE_OUTLIERS = 0.01
"""Share of the samples from which on outliers are what p99 is made of."""


def print_results(file: ResultFile, terminal: Terminal) -> None:
    """Tables on stdout; on stderr what is not valid, and why."""
    for number, result in enumerate(file.results, start=1):
        typer.echo(f"{number}  {result.label}")
    terminal.out.print(latency_table(file))
    terminal.out.print(cost_table(file))
    for result in file.results:
        for reason in result.reasons:
            terminal.note(f"not valid: {result.label}: {reason}")
        text = outlier_note(result)
        if text is not None:
            terminal.note(f"note: {result.label}: {text}")


def outlier_note(result: Result) -> str | None:
    """A sentence on samples far above the rest; None if they are too few to matter."""
    outliers, runs = result.latency.outliers, result.latency.runs
    if outliers.count <= NOTABLE_OUTLIERS * runs:
        return None
    places = decimals(result)
    return (
        f"{outliers.count} of {runs} inferences took more than {outliers.fence_ms:.{places}f} ms, "
        f"up to {outliers.worst_ms:.{places}f} ms; they are counted, and p99 is one of them"
    )


def decimals(result: Result) -> int:
    """Decimal places of its latencies in milliseconds: three digits that mean something."""
    return 1 if result.latency.median.value >= 10 else 2


def with_interval(interval: Interval, places: int) -> str:
    """`1.00 [0.99, 1.01]`."""
    low, high = f"{interval.low:.{places}f}", f"{interval.high:.{places}f}"
    return f"{interval.value:.{places}f} [{low}, {high}]"


def latency_table(file: ResultFile) -> Table:
    """Steady-state latency, and the ratio to the first artifact where there are several.

    Rows are numbered in the order of the results.
    """
    from rich.table import Table

    several = len(file.results) > 1
    table = Table(title=f"latency, {file.threads} thread{'s' if file.threads > 1 else ''}, ms")
    table.title_justify = "left"
    table.add_column("")
    for heading in ("median [95% CI]", "p90 [95% CI]", "p99", "inf/s", "GMAC/s"):
        table.add_column(heading, justify="right")
    if several:
        table.add_column("speed-up [95% CI]", justify="right")
    table.add_column("valid")
    for number, result in enumerate(file.results, start=1):
        s, places = result.latency, decimals(result)
        row = [
            str(number),
            with_interval(s.median, places),
            with_interval(s.p90, places),
            f"{s.p99:.{places}f}",
            f"{s.per_second:.1f}",
            f"{result.gmacs_per_second:.1f}",
        ]
        if several:
            row.append("1" if result.speedup is None else with_interval(result.speedup, 2))
        table.add_row(*row, "yes" if result.valid else "no")
    return table


def cost_table(file: ResultFile) -> Table:
    """What it takes beside steady-state inference; rows numbered as in `latency_table`."""
    from rich.table import Table

    table = Table(title="around it", title_justify="left")
    table.add_column("")
    headings = ("load ms", "first ms", "pre ms", "post ms", "memory MB", "arena MB", "file MB")
    for heading in (*headings, "GMAC", "energy mJ"):
        table.add_column(heading, justify="right")
    table.add_column("sha256")
    for number, result in enumerate(file.results, start=1):
        table.add_row(
            str(number),
            *cost_cells(result),
            result.sha256[:12],
        )
    return table


def cost_cells(result: Result) -> tuple[str, ...]:
    """What it takes beside steady-state inference: ms of load, first run, pre- and post-processing;
    MB of memory, arena and file; GMAC; mJ. A dash: not measured."""
    return (
        _known(result.load_ms, 0),
        _known(result.first_ms, 0),
        _known(result.preprocess_ms, 1),
        _known(result.postprocess_ms, 1),
        _known(result.memory_bytes, 0, 1e6),
        _known(result.arena_bytes, 1, 1e6),
        f"{result.file_bytes / 1e6:.1f}",
        f"{result.macs / 1e9:.2f}",
        _known(None if result.joules is None else 1e3 * result.joules, 1),
    )


def _known(value: float | None, places: int, unit: float = 1) -> str:
    return "-" if value is None else f"{value / unit:.{places}f}"
