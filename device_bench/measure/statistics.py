"""Statistics of latency samples, with confidence intervals. Independent of models."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

LatencySamples = NDArray[np.float64]
"""(runs,) milliseconds of single inferences, in the order in which they ran."""

RESAMPLES = 2000
CONFIDENCE = 0.95
_RESAMPLES_PER_BATCH = 50
_SEED = 20220601
"""Fixed, so that the same samples always give the same interval."""
_SAMPLE_DECIMALS = 4
"""Result files store samples to 0.1 microseconds."""


def finite_number(value: Any) -> float:
    """Convert a value read from a file to a float.

    Raises:
        TypeError, ValueError: it is not a number, or not finite.
    """
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a finite number")
    return number


T = TypeVar("T")


def read_optional(read: Callable[[Any], T], stored: Any) -> T | None:
    """`read(stored)`; None stays None, which means "not measured"."""
    return None if stored is None else read(stored)


def latency_samples(values: ArrayLike) -> LatencySamples:
    """Convert stored or received milliseconds to an array.

    Raises:
        TypeError, ValueError: not a list of at least one positive, finite number.
    """
    samples = np.array(values, np.float64)
    if samples.ndim != 1 or not len(samples) or not (np.isfinite(samples) & (samples > 0)).all():
        raise ValueError("samples_ms is not a list of latencies")
    return samples


def record_samples(values: ArrayLike) -> LatencySamples:
    """Convert newly measured milliseconds, rounded to the precision of result files.

    Statistics of a new result and of the same result read from its file are then equal.

    Raises:
        TypeError, ValueError: see `latency_samples`.
    """
    return latency_samples(np.round(np.array(values, np.float64), _SAMPLE_DECIMALS))


@dataclass(frozen=True)
class Interval:
    """A point estimate and its 95% bootstrap confidence interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """The form stored in result files."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged.
        """
        value, low, high = (finite_number(stored[name]) for name in ("value", "low", "high"))
        if not 0 < low <= high:
            raise ValueError(f"[{low}, {high}] is not an interval")
        return cls(value, low, high)


@dataclass(frozen=True)
class Outliers:
    """Samples far above the rest. They are counted but not removed from any figure.

    Attributes:
        count: number of samples above the fence.
        fence_ms: third quartile plus three times the interquartile range (Tukey's far fence).
        worst_ms: the slowest sample.
    """

    count: int
    fence_ms: float
    worst_ms: float

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read the form that `LatencySummary.to_dict` writes.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged.
        """
        return cls(
            count=int(stored["count"]),
            fence_ms=finite_number(stored["fence_ms"]),
            worst_ms=finite_number(stored["worst_ms"]),
        )


@dataclass(frozen=True)
class LatencySummary:
    """Latency of one model, in milliseconds."""

    runs: int
    median: Interval
    mean: float
    minimum: float
    p90: Interval
    p99: float
    outliers: Outliers

    @property
    def per_second(self) -> float:
        """Inferences per second at the median."""
        return 1000 / self.median.value

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        return {**asdict(self), "per_second": self.per_second}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged.
        """
        median, p99 = Interval.from_dict(stored["median"]), finite_number(stored["p99"])
        if not 0 < median.value <= p99:
            raise ValueError(f"median {median.value} and p99 {p99} are not latencies")
        return cls(
            runs=int(stored["runs"]),
            median=median,
            mean=finite_number(stored["mean"]),
            minimum=finite_number(stored["minimum"]),
            p90=Interval.from_dict(stored["p90"]),
            p99=p99,
            outliers=Outliers.from_dict(stored["outliers"]),
        )


def summarise(samples_ms: LatencySamples) -> LatencySummary:
    """Summarise samples: median and 90th percentile with intervals, tail and outliers.

    Raises:
        ValueError: there are no samples.
    """
    if not len(samples_ms):
        raise ValueError("no samples")
    resampled = np.concatenate(
        [
            np.percentile(samples_ms[indices], [50, 90], axis=1)
            for indices in _bootstrap_indices(len(samples_ms))
        ],
        axis=1,
    )  # (2, RESAMPLES)
    return LatencySummary(
        runs=len(samples_ms),
        median=_interval(float(np.median(samples_ms)), resampled[0]),
        mean=float(samples_ms.mean()),
        minimum=float(samples_ms.min()),
        p90=_interval(float(np.percentile(samples_ms, 90)), resampled[1]),
        p99=float(np.percentile(samples_ms, 99)),
        outliers=_outliers(samples_ms),
    )


def speedup(baseline: LatencySamples, samples: LatencySamples) -> Interval:
    """How many times faster `samples` are than `baseline`, from interleaved runs.

    The value is the ratio of medians. Both series are resampled by round, because a disturbance
    of the machine affects both inferences of a round.

    Raises:
        ValueError: the series differ in length or are empty.
    """
    if len(baseline) != len(samples) or not len(samples):
        raise ValueError("interleaved series need the same number of rounds, at least one")
    ratios = np.concatenate(
        [
            np.median(baseline[indices], axis=1) / np.median(samples[indices], axis=1)
            for indices in _bootstrap_indices(len(samples))
        ]
    )
    return _interval(float(np.median(baseline) / np.median(samples)), ratios)


def latency_ratio(baseline: LatencySamples, candidate: LatencySamples) -> Interval:
    """How much longer `candidate` takes than `baseline`, from separate runs: above 1 is slower.

    The series are resampled independently. The interval covers the noise within the runs, but not
    changes of the machine between them.

    Raises:
        ValueError: a series is empty.
    """
    if not len(baseline) or not len(candidate):
        raise ValueError("no samples")
    denominators = _bootstrap_medians(baseline, stream=1)
    numerators = _bootstrap_medians(candidate, stream=2)
    return _interval(float(np.median(candidate) / np.median(baseline)), numerators / denominators)


def drift(samples_ms: LatencySamples) -> float:
    """Median of the last third divided by that of the first third; 1 means no drift."""
    third = max(1, len(samples_ms) // 3)
    return float(np.median(samples_ms[-third:]) / np.median(samples_ms[:third]))


def _bootstrap_indices(count: int, stream: int = 0) -> Iterator[NDArray[np.int64]]:
    """Indices of RESAMPLES bootstrap samples, in batches of (rows, count) to save memory.

    Different values of `stream` give independent samples.
    """
    generator = np.random.default_rng([_SEED, stream])
    for _ in range(RESAMPLES // _RESAMPLES_PER_BATCH):
        yield generator.integers(0, count, (_RESAMPLES_PER_BATCH, count))


def _bootstrap_medians(samples: LatencySamples, stream: int) -> NDArray[np.float64]:
    """(RESAMPLES,) medians of bootstrap samples."""
    return np.concatenate(
        [
            np.median(samples[indices], axis=1)
            for indices in _bootstrap_indices(len(samples), stream)
        ]
    )


def _interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Interval(value, float(low), float(high))


def _outliers(samples_ms: LatencySamples) -> Outliers:
    low, high = np.percentile(samples_ms, [25, 75])
    fence = float(high + 3 * (high - low))
    count = int(np.count_nonzero(samples_ms > fence))
    return Outliers(count, fence, float(samples_ms.max()))
