"""Where the time of a panoptic model in parts goes: entry points, and the host steps between."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from export.panoptic.parts.stages import STAGES, StageTimes

_MAX_BOXES = 1 << 16


@dataclass(frozen=True)
class StageSummary:
    """Stages of one model over the timed inferences.

    Attributes:
        milliseconds: median of each of `STAGES`.
        proposals: number of boxes in the timed picture, for which `boxes` runs.
        detections: number of instances in the timed picture, for which `masks` runs.
    """

    milliseconds: Mapping[str, float]
    proposals: int
    detections: int

    @classmethod
    def of_runs(cls, runs: Sequence[StageTimes]) -> Self | None:
        """The summary of the timed inferences; None without any, that is, for a whole model."""
        if not runs:
            return None
        medians = {
            stage: float(np.median([run.milliseconds[stage] for run in runs])) for stage in STAGES
        }
        return cls(medians, runs[-1].proposals, runs[-1].detections)

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        return {
            "milliseconds": dict(self.milliseconds),
            "proposals": self.proposals,
            "detections": self.detections,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged.
        """
        if set(stored) != {"milliseconds", "proposals", "detections"}:
            raise ValueError("stages are milliseconds, proposals and detections")
        if set(stored["milliseconds"]) != set(STAGES):
            raise ValueError(f"the milliseconds are not those of {', '.join(STAGES)}")
        milliseconds = {stage: _time(stage, stored["milliseconds"][stage]) for stage in STAGES}
        return cls(milliseconds, _count(stored["proposals"]), _count(stored["detections"]))


def _time(stage: str, value: object) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
        raise ValueError(f"the time of {stage} is {value!r}, not a number from 0")
    return float(value)  # type: ignore[arg-type]


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_BOXES:
        raise ValueError(f"{value!r} is not a number of boxes")
    return value
