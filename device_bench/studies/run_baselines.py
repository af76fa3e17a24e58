"""LVT and its baselines on one road: counted, exported to ONNX, compared, timed in turn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from device_bench.measure.interleaved import Tick, TimedSession, Timing, time_interleaved
from device_bench.measure.preset import Protocol
from device_bench.measure.statistics import Interval
from device_bench.report.tables import with_interval
from device_bench.results.write import head
from device_bench.studies.baselines import SIZES, Baseline, PaperFigures
from device_bench.studies.timed_onnx import onnx_entrant
from export.artifact.manifest import reference_macs
from lvt.complexity import count_parameters
from lvt.config import Size
from lvt.data.images import packaged_photos, read_image
from lvt.data.preprocessing import fixed_size
from lvt.models import default_spec

if TYPE_CHECKING:
    from rich.table import Table

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class BaselineResult:
    """One model, measured.

    Attributes:
        size: of the input.
        macs: of the model as its library has it, before any rewrite.
    """

    baseline: Baseline
    size: Size
    parameters: int
    macs: int
    timing: Timing

    @property
    def paper(self) -> PaperFigures:
        """The paper's figures, without those that hold at its own size only."""
        paper = self.baseline.paper
        return paper if self.size == SIZES[self.baseline.task] else PaperFigures(paper.parameters)


def run_baselines(
    baselines: Sequence[Baseline],
    folder: Path,
    *,
    size: Size | None = None,
    threads: int,
    runs: int,
    seconds: float,
    rule: Protocol,
    tick: Tick,
) -> list[BaselineResult]:
    """Measures models; those of one task are timed in turn and compared with its first.

    Args:
        baselines: what to measure.
        folder: a scratch folder for the exported files.
        size: of the input, instead of those the paper counts at.
        threads: of ONNX Runtime.
        runs: least number of rounds.
        seconds: least time each model's inferences take together.
        rule: what validity is judged by.
        tick: told about progress.

    Raises:
        ConversionError: a model cannot be exported, or its file does not run.
        ParityError: a file does not compute what its model computes.
    """
    load_before = os.getloadavg()[0]
    results = []
    for task in dict.fromkeys(baseline.task for baseline in baselines):
        group = [baseline for baseline in baselines if baseline.task == task]
        own_size = size or SIZES[task]
        counts, entrants = [], []
        for baseline in group:
            tick(f"exporting {baseline.name}", 0.0)
            model = baseline.build()
            macs = reference_macs(model, default_spec(task), own_size)
            counts.append((count_parameters(model), macs))
            entrants.append(_entrant(baseline, model, own_size, folder, threads))
        timings = time_interleaved(
            entrants,
            threads=threads,
            runs=runs,
            seconds=seconds,
            rule=rule,
            load_before=load_before,
            tick=tick,
        )
        results += [
            BaselineResult(baseline, own_size, parameters, macs, timing)
            for baseline, (parameters, macs), timing in zip(group, counts, timings, strict=True)
        ]
    return results


def _entrant(
    baseline: Baseline, model: nn.Module, size: Size, folder: Path, threads: int
) -> TimedSession:
    # For the outputs' names, which all models of a task share.
    spec = default_spec(baseline.task)
    image = fixed_size(baseline.task, size)(read_image(packaged_photos()[0]))
    file = folder / f"{baseline.name}.onnx"
    prepared = baseline.prepare(model, size)
    return onnx_entrant(baseline.name, prepared, model, spec, image, file, threads)


def baselines_json(
    results: Sequence[BaselineResult], *, threads: int, rule: Protocol
) -> dict[str, Any]:
    """A file of its own kind, which holds no artifacts: raw samples included."""
    return {
        **head(schema=SCHEMA, threads=threads, rule=rule),
        "models": [
            {
                "name": result.baseline.name,
                "task": result.baseline.task,
                "size": list(result.size),
                "parameters": result.parameters,
                "macs": result.macs,
                "paper": asdict(result.paper),
                "remark": result.baseline.remark,
                "valid": not result.timing.reasons,
                "reasons": list(result.timing.reasons),
                "latency_ms": result.timing.summary.to_dict(),
                "speedup_over_lvt": _maybe_dict(result.timing.ratio),
                "joules_per_inference": result.timing.joules,
                "samples_ms": [round(float(sample), 4) for sample in result.timing.samples_ms],
            }
            for result in results
        ],
    }


def _maybe_dict(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else asdict(interval)


def baseline_tables(results: Sequence[BaselineResult], *, threads: int) -> list[Table]:
    """One table a task: what is measured here, and in brackets what the paper says."""
    return [
        _table([result for result in results if result.baseline.task == task], threads)
        for task in dict.fromkeys(result.baseline.task for result in results)
    ]


def _table(results: Sequence[BaselineResult], threads: int) -> Table:
    from rich.table import Table

    task = results[0].baseline.task
    height, width = results[0].size
    title = f"{task} {height}x{width}, ONNX Runtime, {threads} thread{'s' if threads > 1 else ''}"
    table = Table(title=f"{title}; (paper)", title_justify="left")
    table.add_column("model")
    for heading in (
        "M parameters",
        "GMAC",
        "median ms [95% CI]",
        "speed-up over LVT [95% CI]",
        "img/s",
    ):
        table.add_column(heading, justify="right")
    table.add_column("valid")
    for result in results:
        paper, timing = result.paper, result.timing
        median, ratio = timing.summary.median, timing.ratio
        table.add_row(
            result.baseline.name + ("*" if result.baseline.remark else ""),
            f"{result.parameters / 1e6:.1f} ({_figure(paper.parameters)})",
            f"{result.macs / 1e9:.1f} ({_figure(paper.macs)})",
            with_interval(median, 1),
            "1" if ratio is None else with_interval(ratio, 2),
            f"{timing.summary.per_second:.3g} ({_figure(paper.images_per_second)})",
            "no" if timing.reasons else "yes",
        )
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
