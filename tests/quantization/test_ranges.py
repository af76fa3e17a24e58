"""How ranges are chosen: known distributions whose best range is known too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantization.methods import METHODS, Method
from quantization.ranges import LEVELS, MAX_BINS, Histogram, choose_range


def histogram(values: np.ndarray) -> Histogram:
    result = Histogram()
    add(result, values)
    return result


def add(histogram: Histogram, values: np.ndarray) -> None:
    histogram.add(float(values.min()), float(values.max()), values.astype(np.float32))


def squared_error(values: np.ndarray, low: float, high: float) -> float:
    step = (high - low) / (LEVELS - 1)
    rounded = low + step * np.rint((np.clip(values, low, high) - low) / step)
    return float(np.square(rounded - values).mean())


def with_outliers() -> np.ndarray:
    """A hundred thousand normal values, and four a hundred times as large."""
    generator = np.random.default_rng(0)
    return np.concatenate([generator.normal(size=100_000), generator.normal(100, 1, 4)])


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(METHODS), st.floats(-50, 50), st.floats(0.01, 20), st.integers(0, 2**32 - 1))
def test_every_range_holds_zero_and_lies_within_the_values(
    method: Method, mean: float, spread: float, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(mean, spread, 5000)
    full = histogram(values)
    low, high = choose_range(full, method)
    assert full.low <= low <= 0 <= high <= full.high
    assert high > low


def test_minmax_clips_nothing() -> None:
    values = with_outliers()
    assert choose_range(histogram(values), "minmax") == pytest.approx((values.min(), values.max()))


def test_percentile_leaves_the_outliers_out() -> None:
    low, high = choose_range(histogram(with_outliers()), "percentile")
    assert high < 10
    assert low < -3


def test_mse_has_the_least_error_of_all() -> None:
    """Heavy tails: to clip some of them costs less than to round everything more coarsely."""
    values = np.random.default_rng(1).laplace(size=200_000)
    errors = {m: squared_error(values, *choose_range(histogram(values), m)) for m in METHODS}
    assert errors["mse"] == min(errors.values())
    assert errors["mse"] < 0.9 * errors["minmax"]


def test_entropy_keeps_a_uniform_distribution_whole() -> None:
    values = np.random.default_rng(2).uniform(-3, 5, 200_000)
    low, high = choose_range(histogram(values), "entropy")
    assert low == pytest.approx(-3, abs=0.1)
    assert high == pytest.approx(5, abs=0.1)


def test_entropy_clips_outliers() -> None:
    low, high = choose_range(histogram(with_outliers()), "entropy")
    assert high < 60
    assert low < -3


def test_a_value_that_is_always_zero() -> None:
    for method in METHODS:
        assert choose_range(histogram(np.zeros(9)), method) == (0.0, 0.0)


@pytest.mark.parametrize(
    "values", [(0.0, 1000.0), (0.0, 1.0), (-4.0, 4.0), (-0.2, 7.9), (-3e-5, 2e-5), (-1000.0, 0.0)]
)
def test_the_bins_are_as_many_for_every_magnitude(values: tuple[float, float]) -> None:
    found = histogram(np.linspace(*values, 100_000)).distribution()
    assert MAX_BINS / 2 <= len(found.counts) <= MAX_BINS + 1
    assert found.counts.sum() == 100_000
    assert np.all(np.diff(found.centres) > 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1000, 1000, width=32), min_size=1), st.integers(0, 2**32 - 1))
def test_the_order_of_the_images_is_of_no_consequence(means: list[float], seed: int) -> None:
    """Images whose values are far larger than those of the images before."""
    generator = np.random.default_rng(seed)
    images = [generator.normal(mean, 1 + abs(mean), 500).astype(np.float32) for mean in means]
    forward, backward = Histogram(), Histogram()
    for image in images:
        add(forward, image)
    for image in reversed(images):
        add(backward, image)
    first, second = forward.distribution(), backward.distribution()
    assert (first.low, first.high, first.width) == (second.low, second.high, second.width)
    # Sums in float32 may put a value that lies on a border into either bin.
    assert np.abs(np.cumsum(first.counts) - np.cumsum(second.counts)).max() <= 5
    assert first.counts.sum() == second.counts.sum() == 500 * len(images)


def test_counts_lie_where_the_values_are() -> None:
    values = np.concatenate([np.full(300, 0.3), np.full(100, -2.0), np.full(50, 90.0)])
    found = histogram(values).distribution()
    (occupied,) = np.nonzero(found.counts)
    assert found.counts[occupied].tolist() == [100, 300, 50]
    assert found.centres[occupied] == pytest.approx([-2.0, 0.3, 90.0], abs=found.width)
