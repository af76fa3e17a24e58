"""Chooses the range that int8 covers from the distribution of a tensor's values.

Values outside a range are clipped to it. A narrow range clips outliers; a wide range spends its
256 levels on values that hardly occur. The methods weigh the two errors differently.
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
"""Percentage of the values inside a `percentile` range; both tails share the rest."""

_NARROWEST = 0.1
_CANDIDATES = 64
"""`mse` and `entropy` try this many ranges between the full one and a tenth of it."""

Range = tuple[float, float]
"""Least and greatest value; zero lies between them."""

UNIT_RANGE: Range = (0.0, 1.0)
"""Of sigmoids. Runtimes require a scale of 1/256, or 1/65536, which leaves out 1 itself."""


@dataclass
class MinMax:
    """Least and greatest value of a tensor over the calibration images.

    Zero is always included: padding needs an int8 value that stands for exactly zero.
    """

    low: float = 0.0
    high: float = 0.0

    def add(self, low: float, high: float) -> None:
        """Adds the extremes of one image."""
        self.low, self.high = min(self.low, low), max(self.high, high)


@dataclass
class Histogram:
    """Counts of a tensor's values between two extremes, in `BINS` equal bins."""

    low: float
    high: float
    counts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))

    def add(self, values: NDArray[np.float32]) -> None:
        """Adds the values of one image."""
        if self.high > self.low:
            counts, _ = np.histogram(values, BINS, (self.low, self.high))
            self.counts += counts

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        bin_width = (self.high - self.low) / BINS
        return self.low + bin_width * np.arange(0.5, BINS, dtype=np.float64)


def choose_range(histogram: Histogram, method: Method) -> Range:
    """The range, containing zero, that a method chooses for a tensor."""
    if histogram.high <= histogram.low or not histogram.counts.any():
        return histogram.low, histogram.high
    return _METHODS[method](histogram)


def _minmax(histogram: Histogram) -> Range:
    """The full range."""
    return histogram.low, histogram.high


def _percentile(histogram: Histogram) -> Range:
    """The range that leaves out the same share of the values at either end."""
    cumulative = np.cumsum(histogram.counts) / histogram.counts.sum()
    tail = (1 - PERCENTILE / 100) / 2
    bin_width = (histogram.high - histogram.low) / BINS
    low = histogram.low + bin_width * int(np.searchsorted(cumulative, tail))
    high = histogram.low + bin_width * (int(np.searchsorted(cumulative, 1 - tail)) + 1)
    return min(low, 0.0), max(min(high, histogram.high), 0.0)


def _mse(histogram: Histogram) -> Range:
    """The candidate with the least mean squared error of rounding and clipping together."""
    return min(_candidates(histogram), key=lambda candidate: _squared_error(histogram, candidate))


def _squared_error(histogram: Histogram, candidate: Range) -> float:
    """Summed squared error of int8 with a range."""
    low, high = candidate
    values = histogram.centres
    scale = (high - low) / (LEVELS - 1)
    # A bin is about as wide as a level. So the mean rounding error is used, not that of the
    # bins' centres.
    rounding = scale * scale / 12
    clipping = values - np.clip(values, low, high)
    errors = np.where(clipping == 0, rounding, clipping * clipping)
    return float((errors * histogram.counts).sum())


def _entropy(histogram: Histogram) -> Range:
    """The candidate with the least Kullback-Leibler divergence of int8 from the float values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return min(_candidates(histogram), key=lambda candidate: _divergence(histogram, candidate))


def _divergence(histogram: Histogram, candidate: Range) -> float:
    """Kullback-Leibler divergence of the int8 distribution with a range from the float one."""
    low, high = candidate
    counts, centres = histogram.counts, histogram.centres
    inside = (centres >= low) & (centres <= high)
    kept = counts[inside]
    if not kept.any():
        return np.inf
    # Clipped values pile up at the ends of the float distribution only, so clipping costs there.
    clipped = kept.copy()
    clipped[0] += counts[centres < low].sum()
    clipped[-1] += counts[centres > high].sum()
    scale = (high - low) / (LEVELS - 1)
    level = np.rint((centres[inside] - low) / scale).astype(np.int64)
    # The values of a level are spread evenly over those of its bins that are not empty.
    occupied_bins = np.bincount(level, kept > 0, LEVELS)
    per_bin = np.bincount(level, kept, LEVELS)[level] / occupied_bins[level]
    quantized = np.where(kept > 0, per_bin, 0)
    p, q = clipped / clipped.sum(), np.maximum(quantized / quantized.sum(), 1e-12)
    positive = p > 0
    return float((p[positive] * np.log(p[positive] / q[positive])).sum())


def _candidates(histogram: Histogram) -> list[Range]:
    """Ranges from the full one down, with the same limit to the magnitude at both ends.

    An end that is already near zero, as GELU's, is kept.
    """
    low, high = histogram.low, histogram.high
    factors = np.linspace(1.0, _NARROWEST, _CANDIDATES).tolist()
    magnitude = max(-low, high)
    ranges = [(max(low, -magnitude * f), min(high, magnitude * f)) for f in factors]
    return list(dict.fromkeys(ranges))


_METHODS: dict[Method, Callable[[Histogram], Range]] = {
    "minmax": _minmax,
    "percentile": _percentile,
    "entropy": _entropy,
    "mse": _mse,
}
