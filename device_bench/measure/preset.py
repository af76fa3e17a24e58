"""The benchmark presets: how much a result must measure before it can be valid."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BenchmarkPreset:
    """Minimum length of a valid measurement; both limits must be met.

    Attributes:
        name: shown in reports, and given as `--preset`.
        min_runs: timed inferences.
        min_seconds: total time of the timed inferences.
    """

    name: str
    min_runs: int
    min_seconds: float


PRESETS = {
    "quick": BenchmarkPreset("quick", min_runs=128, min_seconds=10.0),
    "submission": BenchmarkPreset("submission", min_runs=1024, min_seconds=60.0),
}
"""MLPerf Mobile's quick mode and its rule for submissions, by name."""
