"""What raw latency samples say, and how sure one can be of it. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

RESAMPLES = 2000
CONFIDENCE = 0.95
_ROWS_AT_ONCE = 50
_SEED = 20220601
"""Fixed, so that the same samples always give the same interval."""


@dataclass(frozen=True)
class Interval:
    """A point estimate and its 95% bootstrap confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Latency of one artifact, in milliseconds."""

    runs: int
    median: Interval
    mean: float
    minimum: float
    p90: float
    p99: float

    @property
    def per_second(self) -> float:
        """Inferences a second at the median."""
        return 1000 / self.median.value

    def to_dict(self) -> dict[str, Any]:
        """As it stands in result files."""
        return {**asdict(self), "per_second": self.per_second}


def _interval(value: float, resampled: Samples) -> Interval:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Interval(value, float(low), float(high))


def _resamples(count: int) -> Iterator[NDArray[np.int64]]:
    """Indices of bootstrap samples, RESAMPLES rows of (., count), in parts that fit in memory."""
    generator = np.random.default_rng(_SEED)
    for _ in range(RESAMPLES // _ROWS_AT_ONCE):
        yield generator.integers(0, count, (_ROWS_AT_ONCE, count))


def summarise(milliseconds: Samples) -> Summary:
    """Median with its interval, tail percentiles and throughput of one series of samples.

    Raises:
        ValueError: there are no samples.
    """
    if not len(milliseconds):
        raise ValueError("no samples")
    medians = np.concatenate(
        [np.median(milliseconds[rounds], axis=1) for rounds in _resamples(len(milliseconds))]
    )
    return Summary(
        runs=len(milliseconds),
        median=_interval(float(np.median(milliseconds)), medians),
        mean=float(milliseconds.mean()),
        minimum=float(milliseconds.min()),
        p90=float(np.percentile(milliseconds, 90)),
        p99=float(np.percentile(milliseconds, 99)),
    )


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


def drift(milliseconds: Samples) -> float:
    """Median of the last third over that of the first third: 1 on a machine that stays as it is."""
    third = max(1, len(milliseconds) // 3)
    return float(np.median(milliseconds[-third:]) / np.median(milliseconds[:third]))
