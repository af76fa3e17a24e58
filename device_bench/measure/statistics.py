"""What raw latency samples say, and how sure one can be of it. Knows nothing of models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

RESAMPLES = 2000
CONFIDENCE = 0.95
_ROWS_AT_ONCE = 50
_SEED = 20220601
"""Fixed, so that the same samples always give the same interval."""


def finite(value: Any) -> float:
    """A number read from a file.

    Raises:
        TypeError, ValueError: it is none, or not finite.
    """
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is no measurement")
    return number


@dataclass(frozen=True)
class Interval:
    """A point estimate and its 95% bootstrap confidence interval."""

    value: float
    low: float
    high: float

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """As it stands in result files.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        value, low, high = (finite(stored[name]) for name in ("value", "low", "high"))
        if not 0 < low <= high:
            raise ValueError(f"[{low}, {high}] is no interval")
        return cls(value, low, high)


@dataclass(frozen=True)
class Outliers:
    """Samples far above the rest. They are counted and kept: a tail that is cut off looks fast.

    Attributes:
        count: how many samples lie above the fence.
        fence_ms: third quartile plus three times the interquartile range (Tukey's far fence).
        worst_ms: the slowest sample of all.
    """

    count: int
    fence_ms: float
    worst_ms: float


@dataclass(frozen=True)
class Summary:
    """Latency of one artifact, in milliseconds."""

    runs: int
    median: Interval
    mean: float
    minimum: float
    p90: Interval
    p99: float
    outliers: Outliers

    @property
    def per_second(self) -> float:
        """Inferences a second at the median."""
        return 1000 / self.median.value

    def to_dict(self) -> dict[str, Any]:
        """As it stands in result files."""
        return {**asdict(self), "per_second": self.per_second}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        median, p99 = Interval.from_dict(stored["median"]), finite(stored["p99"])
        if not 0 < median.value <= p99:
            raise ValueError(f"median {median.value} and p99 {p99} are no latencies")
        return cls(
            runs=int(stored["runs"]),
            median=median,
            mean=finite(stored["mean"]),
            minimum=finite(stored["minimum"]),
            p90=Interval.from_dict(stored["p90"]),
            p99=p99,
            outliers=Outliers(
                count=int(stored["outliers"]["count"]),
                fence_ms=finite(stored["outliers"]["fence_ms"]),
                worst_ms=finite(stored["outliers"]["worst_ms"]),
            ),
        )


def _interval(value: float, resampled: Samples) -> Interval:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Interval(value, float(low), float(high))


def _resamples(count: int, stream: int = 0) -> Iterator[NDArray[np.int64]]:
    """Indices of bootstrap samples, RESAMPLES rows of (., count), in parts that fit in memory.

    Another `stream` gives rows that know nothing of the first one's.
    """
    generator = np.random.default_rng([_SEED, stream])
    for _ in range(RESAMPLES // _ROWS_AT_ONCE):
        yield generator.integers(0, count, (_ROWS_AT_ONCE, count))


def summarise(milliseconds: Samples) -> Summary:
    """Median and 90th percentile with their intervals, the tail, and what stands out of it.

    Raises:
        ValueError: there are no samples.
    """
    if not len(milliseconds):
        raise ValueError("no samples")
    resampled = np.concatenate(
        [
            np.percentile(milliseconds[rounds], [50, 90], axis=1)
            for rounds in _resamples(len(milliseconds))
        ],
        axis=1,
    )  # (2, RESAMPLES)
    return Summary(
        runs=len(milliseconds),
        median=_interval(float(np.median(milliseconds)), resampled[0]),
        mean=float(milliseconds.mean()),
        minimum=float(milliseconds.min()),
        p90=_interval(float(np.percentile(milliseconds, 90)), resampled[1]),
        p99=float(np.percentile(milliseconds, 99)),
        outliers=_outliers(milliseconds),
    )


def _outliers(milliseconds: Samples) -> Outliers:
    low, high = np.percentile(milliseconds, [25, 75])
    fence = float(high + 3 * (high - low))
    count = int(np.count_nonzero(milliseconds > fence))
    return Outliers(count, fence, float(milliseconds.max()))


def speedup(baseline: Samples, samples: Samples) -> Interval:
    """How many times faster `samples` are than `baseline`: the ratio of medians.

    The two series were measured in turn, so they are resampled by round: whatever disturbs the
    machine for a while disturbs both sides of the ratio.

    Raises:
        ValueError: the series differ in length or are empty.
    """
    if len(baseline) != len(samples) or not len(samples):
        raise ValueError("interleaved series have the same number of rounds, at least one")
    ratios = np.concatenate(
        [
            np.median(baseline[rounds], axis=1) / np.median(samples[rounds], axis=1)
            for rounds in _resamples(len(samples))
        ]
    )
    return _interval(float(np.median(baseline) / np.median(samples)), ratios)


def latency_ratio(baseline: Samples, candidate: Samples) -> Interval:
    """How much longer `candidate` takes than `baseline`, from two separate runs: above 1 is slower.

    Nothing was shared between the runs, so both sides are resampled, each by itself. The interval
    knows only the noise inside the runs; what changed on the machine between them it cannot know.

    Raises:
        ValueError: a series is empty.
    """
    if not len(baseline) or not len(candidate):
        raise ValueError("no samples")
    below = [np.median(baseline[rows], axis=1) for rows in _resamples(len(baseline), stream=1)]
    above = [np.median(candidate[rows], axis=1) for rows in _resamples(len(candidate), stream=2)]
    ratios = np.concatenate(above) / np.concatenate(below)
    return _interval(float(np.median(candidate) / np.median(baseline)), ratios)


def drift(milliseconds: Samples) -> float:
    """Median of the last third over that of the first third: 1 on a machine that stays as it is."""
    third = max(1, len(milliseconds) // 3)
    return float(np.median(milliseconds[-third:]) / np.median(milliseconds[:third]))
