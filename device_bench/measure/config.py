"""Configuration of a benchmark, shared by this machine, Android devices and browsers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from device_bench.measure.preset import PRESETS, BenchmarkPreset
from lvt.errors import UserError

BenchProgress = Callable[[str, float], None]
"""Called with the current step and the completed share of the timed runs, from 0 to 1."""


def no_progress(_step: str, _share: float) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class BenchConfig:
    """How to measure.

    Attributes:
        preset: decides whether a result is valid.
        threads: of the runtime, at least 1.
        min_runs: timed inferences of each model, at least.
        min_seconds: total time of each model's timed inferences, at least.
    """

    preset: BenchmarkPreset
    threads: int
    min_runs: int
    min_seconds: float

    @classmethod
    def from_preset(
        cls,
        name: str,
        *,
        threads: int = 1,
        runs: int | None = None,
        min_seconds: float | None = None,
    ) -> Self:
        """Create a configuration; `runs` and `min_seconds` replace the preset's limits.

        Raises:
            UserError: unknown preset, or a number that is too small.
        """
        if name not in PRESETS:
            raise UserError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
        preset = PRESETS[name]
        config = cls(
            preset=preset,
            threads=threads,
            min_runs=preset.min_runs if runs is None else runs,
            min_seconds=preset.min_seconds if min_seconds is None else min_seconds,
        )
        if config.threads < 1 or config.min_runs < 1 or config.min_seconds < 0:
            raise UserError("threads and runs must be at least 1, min_seconds at least 0")
        return config
