"""Measures the effect of each rewrite in ONNX Runtime.

Each step rewrites one more module type than the step before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from device_bench.measure.config import BenchConfig, BenchProgress
from device_bench.measure.interleaved import SessionTiming, TimedSession, time_interleaved
from device_bench.measure.statistics import Interval, speedup
from device_bench.report.tables import format_interval
from device_bench.results.run_info import RunInfo
from device_bench.studies.onnx_session import verified_onnx_session
from export.capabilities import target_info
from export.pipeline import static_graph
from export.plan import ResolvedModel
from export.rewrite import registered, rewrite_only
from export.targets import load_target
from lvt.data.images import packaged_photos, read_image

if TYPE_CHECKING:
    from rich.table import Table

ABLATION_SCHEMA = 1
"""Schema of the files of `lvt-bench rewrites`."""
UNREWRITTEN = "reference without rewrites"
"""Name of the first step."""


@dataclass(frozen=True, eq=False)
class AblationStep:
    """The model with some module types rewritten, and its timing.

    Attributes:
        name: of the module type that this step rewrites in addition to the previous step.
        timing: its speed-up is over the first step, which rewrites nothing.
        gain: how many times faster than the previous step; None for the first.
    """

    name: str
    timing: SessionTiming
    gain: Interval | None


def rewritten_types(model: nn.Module) -> list[type[nn.Module]]:
    """The module types of a reference model that have a rewrite for ONNX Runtime."""
    present = {type(module) for module in model.modules()}
    return [module_type for module_type in registered("onnxruntime") if module_type in present]


def measure_rewrites(
    model: ResolvedModel, folder: Path, config: BenchConfig, progress: BenchProgress
) -> list[AblationStep]:
    """Export all steps, verify each against the reference, and time them in interleaved rounds.

    Args:
        model: the model and its input size.
        folder: scratch folder for the exported files.
        config: how to measure.
        progress: called with the current step.

    Raises:
        ConversionError: a step cannot be exported, or its file does not run.
        ParityError: the outputs of a step differ from the reference.
    """
    load_before = os.getloadavg()[0]
    types = rewritten_types(model.reference)
    names = [UNREWRITTEN, *(module_type.__name__ for module_type in types)]
    sessions = []
    for count, name in enumerate(names):
        progress(f"exporting: {name}", 0.0)
        file = folder / f"{count}.onnx"
        sessions.append(_open_step(model, types[:count], name, file, config.threads))
    timings = time_interleaved(sessions, config, progress, load_before=load_before)
    gains = [speedup(before.samples_ms, after.samples_ms) for before, after in pairwise(timings)]
    return [
        AblationStep(name, timing, gain)
        for name, timing, gain in zip(names, timings, [None, *gains], strict=True)
    ]


def ablation_json(steps: Sequence[AblationStep], config: BenchConfig) -> dict[str, Any]:
    """The content of a file with all steps and their raw samples. Not a result file."""
    return {
        **RunInfo.now(config).to_dict(ABLATION_SCHEMA),
        "steps": [
            {
                "name": step.name,
                "valid": not step.timing.validity_issues,
                "reasons": list(step.timing.validity_issues),
                "latency_ms": step.timing.latency.to_dict(),
                "speedup_over_first": step.timing.speedup and step.timing.speedup.to_dict(),
                "speedup_over_last": step.gain and step.gain.to_dict(),
                "samples_ms": step.timing.samples_ms.tolist(),
            }
            for step in steps
        ],
    }


def ablation_table(steps: Sequence[AblationStep], model: ResolvedModel, *, threads: int) -> Table:
    """One row per step."""
    from rich.table import Table

    height, width = model.size
    title = f"{model.spec.task} {height}x{width}, ONNX Runtime, {threads} thread"
    table = Table(title=title + "s" * (threads > 1), title_justify="left")
    table.add_column("rewritten")
    for heading in ("median ms [95% CI]", "speed-up [95% CI]", "of this step [95% CI]"):
        table.add_column(heading, justify="right")
    table.add_column("valid")
    for step in steps:
        timing = step.timing
        table.add_row(
            step.name if step.gain is None else f"+ {step.name}",
            format_interval(timing.latency.median, 1),
            "1" if timing.speedup is None else format_interval(timing.speedup, 2),
            "" if step.gain is None else format_interval(step.gain, 2),
            "no" if timing.validity_issues else "yes",
        )
    return table


def _open_step(
    model: ResolvedModel, types: Sequence[type[nn.Module]], name: str, file: Path, threads: int
) -> TimedSession:
    """Export the model with these module types rewritten, and verify it."""
    info, reference = target_info("onnx"), model.reference
    rewritten = rewrite_only(reference, info.recipe, types)
    module = static_graph(rewritten, model, load_target("onnx").roi_align)
    image = model.preprocessing(read_image(packaged_photos()[0]))
    return verified_onnx_session(name, module, reference, model.spec, image, file, threads)
