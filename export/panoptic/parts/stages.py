"""Stages of a model in parts. Imports nothing heavy: results are read without a runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STAGES = ("core", "proposals", "boxes", "detections", "masks")
"""Stages in order: `proposals` and `detections` are the host steps, with the features they read."""


@dataclass(frozen=True)
class StageTimes:
    """Where the time of one run went.

    Attributes:
        milliseconds: of each of `STAGES`.
        proposals: number of boxes that `boxes` was called for.
        detections: number of detections that `masks` was called for.
    """

    milliseconds: Mapping[str, float]
    proposals: int
    detections: int
