"""What each rewrite is worth in ONNX Runtime: one module type more is rewritten at each step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from device_bench.measure.interleaved import Tick, TimedSession, Timing, time_interleaved
from device_bench.measure.preset import Protocol
from device_bench.measure.statistics import Interval, speedup
from device_bench.report.tables import with_interval
from device_bench.results.write import head
from device_bench.studies.timed_onnx import onnx_entrant
from export.capabilities import target_info
from export.pipeline import static_graph
from export.plan import ResolvedModel
from export.rewrite import registered, rewrite_only
from export.targets import load_target
from lvt.data.images import packaged_photos, read_image

if TYPE_CHECKING:
    from rich.table import Table

SCHEMA = 1
UNREWRITTEN = "as the reference has it"


@dataclass(frozen=True, eq=False)
class Step:
    """The model with some module types rewritten, measured.

    Attributes:
        name: of the type that is rewritten here and was not at the step before.
        timing: its ratio is over the first step, which rewrites nothing.
        gain: how many times faster than the step before; None for the first.
    """

    name: str
    timing: Timing
    gain: Interval | None


def rewritten_types(model: nn.Module) -> list[type[nn.Module]]:
    """The module types of a reference model that are rewritten for ONNX Runtime."""
    present = {type(module) for module in model.modules()}
    return [kind for kind in registered("onnxruntime") if kind in present]


def measure_rewrites(
    job: ResolvedModel,
    folder: Path,
    *,
    threads: int,
    runs: int,
    seconds: float,
    rule: Protocol,
    tick: Tick,
) -> list[Step]:
    """Exports the steps, proves each against the reference, and times them in turn.

    Args:
        job: the model and its input size.
        folder: a scratch folder for the exported files.
        threads: of ONNX Runtime.
        runs: least number of rounds.
        seconds: least time each step's inferences take together.
        rule: what validity is judged by.
        tick: told about progress.

    Raises:
        ConversionError: a step cannot be exported, or its file does not run.
        ParityError: a step's file does not compute what the reference computes.
    """
    load_before = os.getloadavg()[0]
    types = rewritten_types(job.reference)
    names = [UNREWRITTEN, *(kind.__name__ for kind in types)]
    entrants = []
    for count, name in enumerate(names):
        tick(f"exporting: {name}", 0.0)
        entrants.append(_entrant(job, types[:count], name, folder / f"{count}.onnx", threads))
    timings = time_interleaved(
        entrants,
        threads=threads,
        runs=runs,
        seconds=seconds,
        rule=rule,
        load_before=load_before,
        tick=tick,
    )
    gains = [speedup(before.samples_ms, after.samples_ms) for before, after in pairwise(timings)]
    return [
        Step(name, timing, gain)
        for name, timing, gain in zip(names, timings, [None, *gains], strict=True)
    ]


def _entrant(
    job: ResolvedModel, types: Sequence[type[nn.Module]], name: str, file: Path, threads: int
) -> TimedSession:
    info, reference = target_info("onnx"), job.reference
    model = rewrite_only(reference, info.recipe, types)
    module = static_graph(model, job, load_target("onnx").roi_align)
    image = job.preprocessing(read_image(packaged_photos()[0]))
    return onnx_entrant(name, module, reference, job.spec, image, file, threads)


def rewrites_json(steps: Sequence[Step], *, threads: int, rule: Protocol) -> dict[str, Any]:
    """A file of its own kind, which holds no artifacts: raw samples included."""
    return {
        **head(schema=SCHEMA, threads=threads, rule=rule),
        "steps": [
            {
                "name": step.name,
                "valid": not step.timing.reasons,
                "reasons": list(step.timing.reasons),
                "latency_ms": step.timing.summary.to_dict(),
                "speedup_over_first": step.timing.ratio and asdict(step.timing.ratio),
                "speedup_over_last": step.gain and asdict(step.gain),
                "samples_ms": [round(float(sample), 4) for sample in step.timing.samples_ms],
            }
            for step in steps
        ],
    }


def rewrites_table(steps: Sequence[Step], job: ResolvedModel, *, threads: int) -> Table:
    """One row a step."""
    from rich.table import Table

    height, width = job.size
    title = f"{job.spec.task} {height}x{width}, ONNX Runtime, {threads} thread"
    table = Table(title=title + "s" * (threads > 1), title_justify="left")
    table.add_column("rewritten")
    for heading in ("median ms [95% CI]", "speed-up [95% CI]", "of this step [95% CI]"):
        table.add_column(heading, justify="right")
    table.add_column("valid")
    for step in steps:
        first = step.gain is None
        table.add_row(
            step.name if first else f"+ {step.name}",
            with_interval(step.timing.summary.median, 1),
            "1" if step.timing.ratio is None else with_interval(step.timing.ratio, 2),
            "" if step.gain is None else with_interval(step.gain, 2),
            "no" if step.timing.reasons else "yes",
        )
    return table
