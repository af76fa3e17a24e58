"""Chooses the range that int8 covers from the distribution of a tensor's values.

Values outside a range are clipped to it. A narrow range clips outliers; a wide range spends its
256 levels on values that hardly occur. The methods weigh the two errors differently.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantization.methods import Method

LEVELS = 256
MAX_BINS = 2048
_HALF = 4096
"""Bins on either side of zero while values are counted. Values of one sign cover at least half of a
side."""

PERCENTILE = 99.99
"""Percentage of the values inside a `percentile` range; both tails share the rest."""

_NARROWEST = 0.1
_CANDIDATES = 64
"""`mse` and `entropy` try this many ranges between the full one and a tenth of it."""

Range = tuple[float, float]
"""Least and greatest value; zero lies between them."""

UNIT_RANGE: Range = (0.0, 1.0)
"""Of sigmoids. Runtimes require a scale of 1/256, or 1/65536, which leaves out 1 itself."""


class Histogram:
    """Counts of a tensor's values in equal bins, and its extremes; one pass over the images.

    The bins lie between plus and minus a power of two. When values lie beyond it, the limit doubles
    and pairs of bins become one, so no count is ever split.

    Zero always lies between the extremes: padding needs an int8 value that stands for exactly zero.

    Attributes:
        low: least value.
        high: greatest value.
    """

    def __init__(self) -> None:
        self.low, self.high = 0.0, 0.0
        self._limit = 0.0
        self._counts: NDArray[np.float64] = np.zeros(2 * _HALF)

    def add(self, low: float, high: float, values: NDArray[np.float32]) -> None:
        """Adds one image.

        Args:
            low: least value of the tensor.
            high: greatest value of the tensor.
            values: all of its values, or an even share of them.
        """
        self.low, self.high = min(self.low, low), max(self.high, high)
        magnitude = max(-self.low, self.high)
        if magnitude == 0:
            return
        self._grow(2.0 ** math.ceil(math.log2(magnitude)))
        bins = ((values + self._limit) * (_HALF / self._limit)).astype(np.int32)
        self._counts += np.bincount(np.minimum(bins, 2 * _HALF - 1), minlength=2 * _HALF)

    def _grow(self, limit: float) -> None:
        """Doubles the limit until it is at least `limit`."""
        if self._limit == 0:
            self._limit = limit
        while self._limit < limit:
            pairs = self._counts.reshape(-1, 2).sum(1)
            empty = np.zeros(_HALF // 2)
            self._counts = np.concatenate([empty, pairs, empty])
            self._limit *= 2

    def distribution(self) -> Distribution:
        """What has been counted so far, in at most `MAX_BINS` bins and more than half as many."""
        width, counts = self._limit / _HALF, self._counts
        while self.high - self.low >= MAX_BINS * width > 0:
            counts = counts.reshape(-1, 2).sum(1)
            width *= 2
        half = len(counts) // 2
        first = half - math.ceil(-self.low / width) if width else half
        last = half + math.floor(self.high / width) + 1 if width else half
        last = min(last, len(counts))  # the limit itself is counted below it
        centres = (np.arange(first, last) - half + 0.5) * width
        inside = np.clip(centres, self.low, self.high)
        return Distribution(self.low, self.high, counts[first:last], inside, width)


@dataclass(frozen=True)
class Distribution:
    """How often a tensor has which values.

    Attributes:
        low: least value.
        high: greatest value.
        counts: of values, by bin.
        centres: the middle of each bin.
        width: of a bin.
    """

    low: float
    high: float
    counts: NDArray[np.float64]
    centres: NDArray[np.float64]
    width: float


def choose_range(histogram: Histogram, method: Method) -> Range:
    """The range, containing zero, that a method chooses for a tensor."""
    values = histogram.distribution()
    if values.high <= values.low or not values.counts.any():
        return values.low, values.high
    return _METHODS[method](values)


def _minmax(values: Distribution) -> Range:
    """The full range."""
    return values.low, values.high


def _percentile(values: Distribution) -> Range:
    """The range that leaves out the same share of the values at either end."""
    cumulative = np.cumsum(values.counts) / values.counts.sum()
    tail = (1 - PERCENTILE / 100) / 2
    low = values.centres[np.searchsorted(cumulative, tail)] - values.width / 2
    high = values.centres[np.searchsorted(cumulative, 1 - tail)] + values.width / 2
    return float(np.clip(low, values.low, 0)), float(np.clip(high, 0, values.high))


def _mse(values: Distribution) -> Range:
    """The candidate with the least mean squared error of rounding and clipping together."""
    return min(_candidates(values), key=lambda candidate: _squared_error(values, candidate))


def _squared_error(values: Distribution, candidate: Range) -> float:
    """Summed squared error of int8 with a range."""
    low, high = candidate
    centres = values.centres
    scale = (high - low) / (LEVELS - 1)
    # A bin is about as wide as a level. So the mean rounding error is used, not that of the
    # bins' centres.
    rounding = scale * scale / 12
    clipping = centres - np.clip(centres, low, high)
    errors = np.where(clipping == 0, rounding, clipping * clipping)
    return float((errors * values.counts).sum())


def _entropy(values: Distribution) -> Range:
    """The candidate with the least Kullback-Leibler divergence of int8 from the float values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return min(_candidates(values), key=lambda candidate: _divergence(values, candidate))


def _divergence(values: Distribution, candidate: Range) -> float:
    """Kullback-Leibler divergence of the int8 distribution with a range from the float one."""
    low, high = candidate
    counts, centres = values.counts, values.centres
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


def _candidates(values: Distribution) -> list[Range]:
    """Ranges from the full one down, with the same limit to the magnitude at both ends.

    An end that is already near zero, as GELU's, is kept.
    """
    low, high = values.low, values.high
    factors = np.linspace(1.0, _NARROWEST, _CANDIDATES).tolist()
    magnitude = max(-low, high)
    ranges = [(max(low, -magnitude * f), min(high, magnitude * f)) for f in factors]
    return list(dict.fromkeys(ranges))


_METHODS: dict[Method, Callable[[Distribution], Range]] = {
    "minmax": _minmax,
    "percentile": _percentile,
    "entropy": _entropy,
    "mse": _mse,
}
