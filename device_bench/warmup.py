"""Untimed inferences until latency has settled. Knows nothing of models or clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

WINDOW = 5
"""Inferences that are compared with as many before them."""
TOLERANCE = 0.05
"""How far the medians of two windows may lie apart, as a share of the earlier one."""
LEAST_SECONDS = 1.0
MOST_SECONDS = 20.0
"""When to give up, after two windows at least: the measurement is then not valid."""


@dataclass(frozen=True)
class WarmUp:
    """What was run before timing began.

    Attributes:
        runs: inferences.
        seconds: time they took together.
        settled: whether latency had become stable.
    """

    runs: int
    seconds: float
    settled: bool


def warm_up(infer: Callable[[], float]) -> WarmUp:
    """Runs `infer` until it is stable.

    Stable: at least `LEAST_SECONDS` have been spent, and the median of the last `WINDOW`
    inferences is within `TOLERANCE` of the median of the `WINDOW` before. Medians, so that one
    disturbed inference neither ends the warm-up nor prolongs it.

    Args:
        infer: one inference; returns the seconds it took.
    """
    seconds: list[float] = []
    while True:
        seconds.append(infer())
        total = sum(seconds)
        if len(seconds) < 2 * WINDOW or total < LEAST_SECONDS:
            continue
        before = float(np.median(seconds[-2 * WINDOW : -WINDOW]))
        now = float(np.median(seconds[-WINDOW:]))
        settled = abs(now - before) <= TOLERANCE * before
        if settled or total >= MOST_SECONDS:
            return WarmUp(len(seconds), total, settled)
