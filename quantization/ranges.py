"""From the values a tensor took to the range that int8 covers.

Values outside a range are clipped to it. A narrow range clips outliers, a wide one spends the 256
steps on values that hardly occur; the methods weigh the two differently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from quantization.methods import Method

LEVELS = 256
BINS = 2048
PERCENTILE = 99.99
"""Of the values' share inside a `percentile` range, both tails together."""

_NARROWEST = 0.1
_CANDIDATES = 64
"""`mse` and `entropy` try this many ranges between the full one and a tenth of it."""


@dataclass
class MinMax:
    """Least and greatest value of a tensor over the calibration images. Zero always counts.

    int8 must express zero exactly, for padding.
    """

    low: float = 0.0
    high: float = 0.0

    def add(self, low: float, high: float) -> None:
        """Takes one image's extremes."""
        self.low, self.high = min(self.low, low), max(self.high, high)


@dataclass
class Histogram:
    """How often values between two extremes occurred, in `BINS` equal bins."""

    low: float
    high: float
    counts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))

    def add(self, values: NDArray[np.float32]) -> None:
        """Takes one image's values."""
        if self.high > self.low:
            counts, _ = np.histogram(values, BINS, (self.low, self.high))
            self.counts += counts

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        step = (self.high - self.low) / BINS
        return self.low + step * np.arange(0.5, BINS, dtype=np.float64)


def choose_range(histogram: Histogram, method: Method) -> tuple[float, float]:
    """The range, containing zero, that `method` gives a tensor."""
    if histogram.high <= histogram.low or not histogram.counts.any():
        return histogram.low, histogram.high
    return _METHODS[method](histogram)


def _minmax(histogram: Histogram) -> tuple[float, float]:
    return histogram.low, histogram.high


def _percentile(histogram: Histogram) -> tuple[float, float]:
    """Leaves the same share of the values out at either end."""
    share = np.cumsum(histogram.counts) / histogram.counts.sum()
    tail = (1 - PERCENTILE / 100) / 2
    step = (histogram.high - histogram.low) / BINS
    low = histogram.low + step * int(np.searchsorted(share, tail))
    high = histogram.low + step * (int(np.searchsorted(share, 1 - tail)) + 1)
    return min(low, 0.0), max(min(high, histogram.high), 0.0)


def _mse(histogram: Histogram) -> tuple[float, float]:
    """Least mean squared error of rounding and clipping together."""

    def error(low: float, high: float) -> float:
        values = histogram.centres
        step = (high - low) / (LEVELS - 1)
        # The bins are of the order of a step: what rounding costs is its mean, not that of the
        # bins' middles.
        rounding = step * step / 12
        clipping = values - np.clip(values, low, high)
        inside = clipping == 0
        costs = np.where(inside, rounding, clipping * clipping)
        return float((costs * histogram.counts).sum())

    return min(_candidates(histogram), key=lambda candidate: error(*candidate))


def _entropy(histogram: Histogram) -> tuple[float, float]:
    """Least Kullback-Leibler divergence of the values from what int8 makes of them."""
    counts, centres = histogram.counts, histogram.centres

    def divergence(low: float, high: float) -> float:
        inside = (centres >= low) & (centres <= high)
        kept = counts[inside]
        if not kept.any():
            return np.inf
        # What is clipped falls on the ends; int8 knows nothing of that, so it costs there.
        clipped = kept.copy()
        clipped[0] += counts[centres < low].sum()
        clipped[-1] += counts[centres > high].sum()
        step = (high - low) / (LEVELS - 1)
        level = np.rint((centres[inside] - low) / step).astype(np.int64)
        # A level's values lie evenly on those of its bins that occur.
        members = np.bincount(level, kept > 0, LEVELS)
        held = np.where(kept > 0, np.bincount(level, kept, LEVELS)[level] / members[level], 0)
        p, q = clipped / clipped.sum(), np.maximum(held / held.sum(), 1e-12)
        seen = p > 0
        return float((p[seen] * np.log(p[seen] / q[seen])).sum())

    with np.errstate(divide="ignore", invalid="ignore"):
        return min(_candidates(histogram), key=lambda candidate: divergence(*candidate))


def _candidates(histogram: Histogram) -> list[tuple[float, float]]:
    """Ranges from the full one down, either end cut alone or both.

    An end that is already near zero, as GELU's, is kept.
    """
    low, high = histogram.low, histogram.high
    factors = np.linspace(1.0, _NARROWEST, _CANDIDATES).tolist()
    reach = max(-low, high)
    both = [(max(low, -reach * f), min(high, reach * f)) for f in factors]
    return list(dict.fromkeys(both))


_METHODS: dict[Method, Callable[[Histogram], tuple[float, float]]] = {
    "minmax": _minmax,
    "percentile": _percentile,
    "entropy": _entropy,
    "mse": _mse,
}
