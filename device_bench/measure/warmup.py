"""Untimed inferences until latency has settled. Independent of models and clocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from device_bench.measure.statistics import finite_number

WINDOW = 5
"""Number of inferences in each of the two windows that are compared."""
TOLERANCE = 0.05
"""Accepted difference between the medians of the two windows, relative to the earlier one."""
MIN_SECONDS = 1.0
MAX_SECONDS = 20.0
"""The warm-up gives up after this time, but not before two windows; the result is then not valid.
"""


@dataclass(frozen=True)
class WarmUp:
    """The untimed inferences before the timing.

    Attributes:
        runs: number of inferences.
        seconds: their total time.
        settled: whether latency had become stable.
    """

    runs: int
    seconds: float
    settled: bool

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged.
        """
        return cls(int(stored["runs"]), finite_number(stored["seconds"]), bool(stored["settled"]))


def warm_up(infer: Callable[[], float]) -> WarmUp:
    """Call `infer` until its latency is stable.

    Latency is stable when at least `MIN_SECONDS` have passed and the median of the last `WINDOW`
    inferences is within `TOLERANCE` of the median of the `WINDOW` before. Medians keep a single
    disturbed inference from ending or extending the warm-up.

    Args:
        infer: runs one inference and returns its duration in seconds.
    """
    runs, total = 0, 0.0
    recent: deque[float] = deque(maxlen=2 * WINDOW)
    while True:
        recent.append(infer())
        runs, total = runs + 1, total + recent[-1]
        if runs < 2 * WINDOW or total < MIN_SECONDS:
            continue
        earlier, later = np.median(np.reshape(recent, (2, WINDOW)), axis=1)
        settled = bool(abs(later - earlier) <= TOLERANCE * earlier)
        if settled or total >= MAX_SECONDS:
            return WarmUp(runs, total, settled)
