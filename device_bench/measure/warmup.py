"""Untimed inferences until latency has settled. Knows nothing of models or clocks."""

from __future__ import annotations

from collections import deque
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
    runs, total = 0, 0.0
    recent: deque[float] = deque(maxlen=2 * WINDOW)
    while True:
        recent.append(infer())
        runs, total = runs + 1, total + recent[-1]
        if runs < 2 * WINDOW or total < LEAST_SECONDS:
            continue
        before, now = np.median(np.reshape(recent, (2, WINDOW)), axis=1)
        settled = bool(abs(now - before) <= TOLERANCE * before)
        if settled or total >= MOST_SECONDS:
            return WarmUp(runs, total, settled)
