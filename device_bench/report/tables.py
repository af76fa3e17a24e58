"""Reports as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from device_bench.measure.statistics import Interval
from device_bench.results.bench_report import BenchReport
from device_bench.results.bench_result import BenchResult
from device_bench.results.stage_summary import StageSummary
from lvt.support.terminal import PIPE_COLUMNS

if TYPE_CHECKING:
    from rich.table import Table

    from lvt.support.terminal import Terminal

NOTABLE_OUTLIERS = 0.01
"""Share of outliers above which p99 is one of them."""

NO_DETECTIONS = (
    "the timed picture has no detections, so masks did not run; a picture with instances takes "
    "longer"
)

STAGE_HEADINGS = (
    "core",
    "host: proposals",
    "boxes",
    "host: detections",
    "masks",
    "host: fusion",
    "proposals",
    "detections",
)
"""Of `stage_cells`. Fusion is the post-processing, which follows the inference."""


def print_report(report: BenchReport, terminal: Terminal) -> None:
    """Print the tables to stdout, and why results are not valid to stderr."""
    for line in result_lines(report):
        typer.echo(line)
    terminal.out.print(latency_table(report))
    terminal.out.print(cost_table(report))
    if any(result.stages for result in report.results):
        terminal.out.print(stage_table(report))
    for line in note_lines(report):
        terminal.note(line)


def report_text(report: BenchReport) -> str:
    """The same tables and notes as text."""
    from rich.console import Console

    console = Console(width=PIPE_COLUMNS, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(latency_table(report))
        console.print(cost_table(report))
        if any(result.stages for result in report.results):
            console.print(stage_table(report))
    lines = [*result_lines(report), capture.get().rstrip("\n"), *note_lines(report)]
    return "\n".join(lines)


def result_lines(report: BenchReport) -> Iterator[str]:
    """The number of each row in the tables, and its model."""
    for number, result in enumerate(report.results, start=1):
        yield f"{number}  {result.label}"


def note_lines(report: BenchReport) -> Iterator[str]:
    """Why results are not valid, and where outliers matter."""
    for result in report.results:
        for issue in result.validity_issues:
            yield f"not valid: {result.label}: {issue}"
        if result.stages is not None and result.stages.detections == 0:
            yield f"note: {result.label}: {NO_DETECTIONS}"
        outliers = outlier_note(result)
        if outliers is not None:
            yield f"note: {result.label}: {outliers}"


def outlier_note(result: BenchResult) -> str | None:
    """A sentence about samples far above the rest; None if they are too few to matter."""
    outliers, runs = result.latency.outliers, result.latency.runs
    if outliers.count <= NOTABLE_OUTLIERS * runs:
        return None
    places = decimal_places(result)
    return (
        f"{outliers.count} of {runs} inferences took more than {outliers.fence_ms:.{places}f} ms, "
        f"up to {outliers.worst_ms:.{places}f} ms; they are included, and p99 is one of them"
    )


def decimal_places(result: BenchResult) -> int:
    """Decimal places of its latencies in milliseconds, for three significant digits."""
    return 1 if result.latency.median.value >= 10 else 2


def format_interval(interval: Interval, places: int) -> str:
    """Format as `1.00 [0.99, 1.01]`."""
    low, high = f"{interval.low:.{places}f}", f"{interval.high:.{places}f}"
    return f"{interval.value:.{places}f} [{low}, {high}]"


def latency_table(report: BenchReport) -> Table:
    """Steady-state latency; with several results, also the speed-up over the first.

    Rows are numbered in the order of the results.
    """
    from rich.table import Table

    several = len(report.results) > 1
    threads = report.run.threads
    table = Table(
        title=f"latency, {threads} thread{'s' if threads > 1 else ''}, ms", title_justify="left"
    )
    table.add_column("")
    for heading in ("median [95% CI]", "p90 [95% CI]", "p99", "inf/s", "GMAC/s"):
        table.add_column(heading, justify="right")
    if several:
        table.add_column("speed-up [95% CI]", justify="right")
    table.add_column("valid")
    for number, result in enumerate(report.results, start=1):
        latency, places = result.latency, decimal_places(result)
        row = [
            str(number),
            format_interval(latency.median, places),
            format_interval(latency.p90, places),
            f"{latency.p99:.{places}f}",
            f"{latency.per_second:.1f}",
            f"{result.gmacs_per_second:.1f}",
        ]
        if several:
            row.append("1" if result.speedup is None else format_interval(result.speedup, 2))
        table.add_row(*row, "yes" if result.valid else "no")
    return table


def cost_table(report: BenchReport) -> Table:
    """Load time, processing, memory and size; rows are numbered as in `latency_table`."""
    from rich.table import Table

    table = Table(title="load time, memory and size", title_justify="left")
    table.add_column("")
    headings = ("load ms", "first ms", "pre ms", "post ms", "memory MB", "arena MB", "file MB")
    for heading in (*headings, "GMAC", "energy mJ"):
        table.add_column(heading, justify="right")
    table.add_column("sha256")
    for number, result in enumerate(report.results, start=1):
        table.add_row(str(number), *cost_cells(result), result.model.sha256[:12])
    return table


def stage_table(report: BenchReport) -> Table:
    """Stages of the models in parts; rows are numbered as in `latency_table`."""
    from rich.table import Table

    title = "stages of panoptic models in parts, median ms, and numbers of boxes"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in STAGE_HEADINGS:
        table.add_column(heading, justify="right")
    for number, result in enumerate(report.results, start=1):
        if result.stages is not None:
            table.add_row(str(number), *stage_cells(result, result.stages))
    return table


def stage_cells(result: BenchResult, stages: StageSummary) -> tuple[str, ...]:
    """The cells of a row under `STAGE_HEADINGS`."""
    places = decimal_places(result)
    return (
        *(f"{ms:.{places}f}" for ms in stages.milliseconds.values()),
        format_optional(result.postprocess_ms, places),
        str(stages.proposals),
        str(stages.detections),
    )


def cost_cells(result: BenchResult) -> tuple[str, ...]:
    """The cells of a cost table; a dash means "not measured".

    Milliseconds of loading, first inference, pre- and post-processing; MB of memory, arena and
    file; GMAC; mJ per inference.
    """
    return (
        format_optional(result.cold_start.load_ms, 0),
        format_optional(result.cold_start.first_ms, 0),
        format_optional(result.preprocess_ms, 1),
        format_optional(result.postprocess_ms, 1),
        format_optional(result.cold_start.memory_bytes, 0, unit=1e6),
        format_optional(result.arena_bytes, 1, unit=1e6),
        f"{result.model.file_bytes / 1e6:.1f}",
        f"{result.model.macs / 1e9:.2f}",
        format_optional(result.joules, 1, unit=1e-3),
    )


def format_optional(value: float | None, places: int, unit: float = 1) -> str:
    """A figure in a unit; a dash means "not measured"."""
    return "-" if value is None else f"{value / unit:.{places}f}"
