"""Counts, exports, verifies and times LVT and the baselines of the paper."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from device_bench.measure.config import BenchConfig, BenchProgress
from device_bench.measure.interleaved import SessionTiming, TimedSession, time_interleaved
from device_bench.report.tables import format_interval
from device_bench.results.run_info import RunInfo
from device_bench.studies.baselines import SIZES, Baseline, BaselineTask, PaperFigures
from device_bench.studies.onnx_session import verified_onnx_session
from export.artifact.manifest import reference_macs
from lvt.complexity import count_parameters
from lvt.config import Size
from lvt.data.images import packaged_photos, read_image
from lvt.data.preprocessing import fixed_size
from lvt.models import default_spec

if TYPE_CHECKING:
    from rich.table import Table

BASELINES_SCHEMA = 1
"""Schema of the files of `lvt-bench baselines`."""


@dataclass(frozen=True, eq=False)
class BaselineResult:
    """Complexity and timing of one model.

    Attributes:
        size: of the input.
        macs: of the model in its own library, before any rewrite.
        timing: its speed-up is over the first model of the task.
    """

    baseline: Baseline
    size: Size
    parameters: int
    macs: int
    timing: SessionTiming

    @property
    def paper(self) -> PaperFigures:
        """The paper's figures; at another size than the paper's, only those that still apply."""
        paper = self.baseline.paper
        return paper if self.size == SIZES[self.baseline.task] else PaperFigures(paper.parameters)


def run_baselines(
    baselines: Sequence[Baseline],
    folder: Path,
    config: BenchConfig,
    progress: BenchProgress,
    *,
    size: Size | None = None,
) -> list[BaselineResult]:
    """Measure models; those of one task are interleaved and compared with its first.

    Args:
        baselines: the models.
        folder: scratch folder for the exported files.
        config: how to measure.
        progress: called with the current step.
        size: of the input; by default the paper's size for the task.

    Raises:
        ConversionError: a model cannot be exported, or its file does not run.
        ParityError: the outputs of a file differ from its model.
    """
    load_before = os.getloadavg()[0]
    results = []
    for task in dict.fromkeys(baseline.task for baseline in baselines):
        group = [baseline for baseline in baselines if baseline.task == task]
        results += _run_task(
            group, task, size or SIZES[task], folder, config, progress, load_before
        )
    return results


def _run_task(
    baselines: Sequence[Baseline],
    task: BaselineTask,
    size: Size,
    folder: Path,
    config: BenchConfig,
    progress: BenchProgress,
    load_before: float,
) -> list[BaselineResult]:
    """Measure the models of one task."""
    counts, sessions = [], []
    for baseline in baselines:
        progress(f"exporting {baseline.name}", 0.0)
        model = baseline.build()
        macs = reference_macs(model, default_spec(task), size)
        counts.append((count_parameters(model), macs))
        sessions.append(_open_baseline(baseline, model, size, folder, config.threads))
    timings = time_interleaved(sessions, config, progress, load_before=load_before)
    return [
        BaselineResult(baseline, size, parameters, macs, timing)
        for baseline, (parameters, macs), timing in zip(baselines, counts, timings, strict=True)
    ]


def _open_baseline(
    baseline: Baseline, model: nn.Module, size: Size, folder: Path, threads: int
) -> TimedSession:
    """Export a model and verify the file."""
    spec = default_spec(baseline.task)  # gives the outputs' names, equal for all models of a task
    image = fixed_size(baseline.task, size)(read_image(packaged_photos()[0]))
    module = baseline.prepare_export(model, size)
    file = folder / f"{baseline.name}.onnx"
    return verified_onnx_session(baseline.name, module, model, spec, image, file, threads)


def baselines_json(results: Sequence[BaselineResult], config: BenchConfig) -> dict[str, Any]:
    """The content of a file with all models and their raw samples. Not a result file."""
    return {
        **RunInfo.now(config).to_dict(BASELINES_SCHEMA),
        "models": [_model_json(result) for result in results],
    }


def _model_json(result: BaselineResult) -> dict[str, Any]:
    timing = result.timing
    return {
        "name": result.baseline.name,
        "task": result.baseline.task,
        "size": list(result.size),
        "parameters": result.parameters,
        "macs": result.macs,
        "paper": asdict(result.paper),
        "remark": result.baseline.remark,
        "valid": not timing.validity_issues,
        "reasons": list(timing.validity_issues),
        "latency_ms": timing.latency.to_dict(),
        "speedup_over_lvt": timing.speedup and timing.speedup.to_dict(),
        "joules_per_inference": timing.joules,
        "samples_ms": timing.samples_ms.tolist(),
    }


def baseline_tables(results: Sequence[BaselineResult], *, threads: int) -> list[Table]:
    """One table per task; the paper's figures in brackets."""
    return [
        _task_table([result for result in results if result.baseline.task == task], threads)
        for task in dict.fromkeys(result.baseline.task for result in results)
    ]


def _task_table(results: Sequence[BaselineResult], threads: int) -> Table:
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
        table.add_row(
            result.baseline.name + ("*" if result.baseline.remark else ""),
            f"{result.parameters / 1e6:.1f} ({_paper_cell(paper.parameters)})",
            f"{result.macs / 1e9:.1f} ({_paper_cell(paper.macs)})",
            format_interval(timing.latency.median, 1),
            "1" if timing.speedup is None else format_interval(timing.speedup, 2),
            f"{timing.latency.per_second:.3g} ({_paper_cell(paper.images_per_second)})",
            "no" if timing.validity_issues else "yes",
        )
    return table


def _paper_cell(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
