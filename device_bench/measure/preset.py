"""How long to measure, and whether a measurement may be called valid."""

from __future__ import annotations

from dataclasses import dataclass

from device_bench.measure.statistics import Samples, drift
from device_bench.measure.warmup import WarmUp

MAX_DRIFT = 1.10
"""Thermal or load drift between the first and the last third beyond which figures mislead."""


@dataclass(frozen=True)
class Protocol:
    """When a measurement is long enough: both limits are to be met.

    Attributes:
        name: for the report.
        runs: least number of timed inferences.
        seconds: least time they take together.
    """

    name: str
    runs: int
    seconds: float


PRESETS = {
    "quick": Protocol("quick", runs=128, seconds=10.0),
    "submission": Protocol("submission", runs=1024, seconds=60.0),
}
"""MLPerf Mobile's quick mode, and its rule for submissions."""


def steady(moved: float) -> bool:
    """Whether a `drift` is small enough for a median to stand for the whole run."""
    return 1 / MAX_DRIFT <= moved <= MAX_DRIFT


def complaints(
    samples_ms: Samples,
    rule: Protocol,
    *,
    warmup: WarmUp,
    load_before: float | None,
    busy_threads: int,
    cores: int,
) -> list[str]:
    """Why a measurement is not valid under `rule`; empty if it is.

    Args:
        samples_ms: timed inferences in order.
        rule: the preset to judge by.
        warmup: what was run before them.
        load_before: the machine's one-minute load average before we began; None: it does not tell.
        busy_threads: threads the inferences use.
        cores: logical cores of the machine.
    """
    reasons = []
    if len(samples_ms) < rule.runs:
        reasons.append(f"{len(samples_ms)} runs, {rule.name} asks for {rule.runs}")
    total = float(samples_ms.sum()) / 1000
    if total < rule.seconds:
        reasons.append(f"{total:.1f} s of inference, {rule.name} asks for {rule.seconds:.0f} s")
    if not warmup.settled:
        reasons.append(f"latency had not settled after {warmup.seconds:.0f} s of warm-up")
    moved = drift(samples_ms)
    if not steady(moved):
        reasons.append(f"latency drifted by {moved - 1:+.0%} during the run")
    if load_before is not None and load_before + busy_threads > cores + 0.5:
        reasons.append(f"the machine was busy: load {load_before:.1f} on {cores} cores")
    return reasons
