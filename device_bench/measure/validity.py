"""Decides whether a measurement is valid, and gives the reasons where it is not."""

from __future__ import annotations

from device_bench.measure.preset import BenchmarkPreset
from device_bench.measure.statistics import LatencySamples, drift
from device_bench.measure.warmup import WarmUp

MAX_DRIFT = 1.10
"""Largest accepted ratio between the last and the first third of a run."""
_LOAD_MARGIN = 0.5
"""Load average that a machine without other work may still report."""


def is_steady(drift_ratio: float) -> bool:
    """Whether a `drift` is small enough for the median to represent the whole run."""
    return 1 / MAX_DRIFT <= drift_ratio <= MAX_DRIFT


def is_busy(load: float, threads: int, cores: int) -> bool:
    """Whether a machine with this load average lacks cores for a benchmark's threads."""
    return load + threads > cores + _LOAD_MARGIN


def validity_issues(
    samples_ms: LatencySamples,
    preset: BenchmarkPreset,
    *,
    warmup: WarmUp,
    load_before: float | None,
    busy_threads: int,
    cores: int,
) -> list[str]:
    """Reasons why a measurement is not valid under `preset`; empty if it is valid.

    Args:
        samples_ms: timed inferences in order.
        preset: minimum length of the measurement.
        warmup: the warm-up before them.
        load_before: the machine's one-minute load average before the benchmark; None: unknown.
        busy_threads: threads that the inferences use.
        cores: logical cores of the machine.
    """
    issues = []
    if len(samples_ms) < preset.min_runs:
        issues.append(f"{len(samples_ms)} runs; preset {preset.name} requires {preset.min_runs}")
    seconds = float(samples_ms.sum()) / 1000
    if seconds < preset.min_seconds:
        issues.append(
            f"{seconds:.1f} s of inference; preset {preset.name} requires "
            f"{preset.min_seconds:.0f} s"
        )
    if not warmup.settled:
        issues.append(f"latency had not settled after {warmup.seconds:.0f} s of warm-up")
    drift_ratio = drift(samples_ms)
    if not is_steady(drift_ratio):
        issues.append(f"latency drifted by {drift_ratio - 1:+.0%} during the run")
    if load_before is not None and is_busy(load_before, busy_threads, cores):
        issues.append(f"the machine was busy: load {load_before:.1f} on {cores} cores")
    return issues
