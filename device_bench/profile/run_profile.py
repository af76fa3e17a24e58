"""Profiles the results of a benchmark, each model in its own runtime's profiler."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

from device_bench.measure.backends import BenchTarget, open_bench_target
from device_bench.measure.statistics import LatencySamples
from device_bench.profile.summary import summarise_trace
from device_bench.profile.trace import Trace, TraceRecorder
from device_bench.results.bench_report import BenchReport
from device_bench.results.bench_result import TORCH, BenchResult
from device_bench.results.operator_profile import OperatorProfile
from export.targets import load_target
from lvt.data.images import packaged_photos, read_image
from lvt.errors import UserError
from lvt.support.progress import Progress

RECORDERS = {
    "onnxruntime": "onnx_trace",
    "executorch": "executorch_trace",
    "tflite": "litert_trace",
}
"""Module of this package for each backend with a profiler."""

_COREML = "Core ML reports operator times only to Xcode's Instruments"
_IN_PARTS = (
    "the time of each stage is measured for a model in parts; operators are profiled with --whole"
)
_UNSUPPORTED = {
    "coreml": _COREML,
    "executorch-coreml": _COREML,
    "coreai": "Core AI's runtime here only verifies files; its times are not those of a device",
    "qnn": "the NPU's software model has no times; a phone has",
    TORCH: "the PyTorch reference is not what runs on a phone",
}


def unsupported_reason(backend: str, *, in_parts: bool) -> str | None:
    """Why a backend cannot profile a model, or a model in parts; None if it can."""
    return _UNSUPPORTED.get(backend) or (_IN_PARTS if in_parts else None)


def check_profilable(targets: Iterable[BenchTarget]) -> None:
    """Check before the benchmark that at least one target can be profiled.

    Raises:
        UserError: none can.
    """
    reasons = [
        unsupported_reason(target.backend, in_parts=target.artifact.host is not None)
        for target in targets
    ]
    if all(reasons):
        listed = "; ".join(dict.fromkeys(reason for reason in reasons if reason))
        listed = listed or "nothing runs on this machine"
        raise UserError(f"--profile has nothing to profile: {listed}")


def profile_report(report: BenchReport, progress: Progress) -> BenchReport:
    """Add profiles to all results of this machine that can be profiled.

    Raises:
        UserError: an artifact was changed since the benchmark, or see `TraceRecorder.record`.
    """
    results = []
    for result in report.results:
        if can_be_profiled(result):
            progress(f"profiling {result.label}")
            target = open_bench_target(Path(result.model.path), result.backend)
            profile = profile_target(target, result.samples_ms, report.run.threads)
            result = replace(result, profile=profile)
        results.append(result)
    return replace(report, results=tuple(results))


def can_be_profiled(result: BenchResult) -> bool:
    """Whether a result is of a whole model on this machine, and its backend has a profiler."""
    return result.device is None and result.backend in RECORDERS and result.stages is None


def profile_target(target: BenchTarget, timed_ms: LatencySamples, threads: int) -> OperatorProfile:
    """Profile one target in a new session.

    Args:
        target: with a backend that can be profiled.
        timed_ms: samples of its timing, to compute how much the profiler slows it.
        threads: as in the timing.

    Raises:
        UserError: see `TraceRecorder.record`.
    """
    artifact = target.artifact
    trace = record_trace(target, threads)
    placement = load_target(artifact.target).placement(artifact.path)
    return summarise_trace(trace, placement, timed_ms)


def record_trace(target: BenchTarget, threads: int) -> Trace:
    """Run a target under its runtime's profiler, on a packaged photo.

    Raises:
        UserError: see `TraceRecorder.record`.
    """
    module = importlib.import_module(f"device_bench.profile.{RECORDERS[target.backend]}")
    image = target.artifact.preprocessing(read_image(packaged_photos()[0]))
    return cast(TraceRecorder, module).record(target.artifact.path, image, threads)
