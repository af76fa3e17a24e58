"""The figures mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from device_bench.measure.preset import PRESETS, BenchmarkPreset
from device_bench.measure.statistics import LatencySummary, drift, latency_ratio, speedup, summarise
from device_bench.measure.validity import validity_issues
from device_bench.measure.warmup import WarmUp

WARM = WarmUp(10, 1.0, settled=True)


def test_summary_by_hand() -> None:
    samples = np.arange(1.0, 102.0)  # 1..101
    summary = summarise(samples)
    assert summary.runs == 101
    assert summary.median.value == 51
    assert summary.p90.value == pytest.approx(91)
    assert summary.p99 == pytest.approx(100)
    assert summary.per_second == pytest.approx(1000 / 51)


def test_median_interval_covers_the_truth_as_often_as_it_claims() -> None:
    """An interval that is too narrow turns noise into findings."""
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        interval = summarise(generator.lognormal(0.0, 0.3, 60)).median
        hits += interval.low <= 1.0 <= interval.high
    assert 0.88 <= hits / 200 <= 0.995


def test_p90_interval_covers_the_truth_as_often_as_it_claims() -> None:
    generator = np.random.default_rng(3)
    truth = float(np.exp(0.3 * 1.2815516))  # 90th percentile of the log-normal
    hits = 0
    for _ in range(200):
        interval = summarise(generator.lognormal(0.0, 0.3, 128)).p90
        hits += interval.low <= truth <= interval.high
    assert 0.86 <= hits / 200 <= 0.99


def test_outliers_are_counted_and_kept() -> None:
    """Cutting the tail off is how a stuttering phone gets a good figure."""
    samples = np.array([10.0, 11.0, 12.0, 13.0] * 25 + [40.0, 90.0])
    summary = summarise(samples)
    assert (summary.outliers.count, summary.outliers.worst_ms) == (2, 90.0)
    # Quartiles 11 and 13: the fence is 13 + 3 * 2.
    assert summary.outliers.fence_ms == pytest.approx(19)
    assert summary.mean == pytest.approx(samples.mean())
    assert summarise(np.full(50, 10.0)).outliers.count == 0


def test_a_summary_survives_its_file() -> None:
    summary = summarise(np.arange(1.0, 60.0))
    assert LatencySummary.from_dict(summary.to_dict()) == summary


def test_separate_runs_by_hand() -> None:
    """1.25 times as long, without noise: no doubt is left."""
    ratio = latency_ratio(np.full(20, 8.0), np.full(50, 10.0))
    assert (ratio.value, ratio.low, ratio.high) == (1.25, 1.25, 1.25)
    with pytest.raises(ValueError, match="no samples"):
        latency_ratio(np.ones(3), np.array([]))


def test_separate_runs_of_the_same_thing_rarely_differ() -> None:
    """A gate that fires on noise is soon switched off: lower bounds above 1 in 2.5% of runs."""
    generator = np.random.default_rng(4)
    false_alarms = covered = 0
    for _ in range(200):
        before, after = generator.lognormal(0.0, 0.2, (2, 60))
        ratio = latency_ratio(before, after)
        false_alarms += ratio.low > 1.0
        covered += ratio.low <= 1.0 <= ratio.high
    assert false_alarms / 200 <= 0.06
    assert 0.90 <= covered / 200 <= 0.995


def test_separate_runs_are_not_paired_by_order() -> None:
    """Resampling both by the same rows would call a chance likeness of order a shared cause."""
    generator = np.random.default_rng(5)
    series = generator.lognormal(0.0, 0.5, 80)
    assert (ratio := latency_ratio(series, series)).high - ratio.low > 0.1
    assert (paired := speedup(series, series)).high - paired.low == 0


def test_speedup_survives_noise_that_both_sides_share() -> None:
    """Interleaving is worth it only if rounds are resampled together."""
    generator = np.random.default_rng(2)
    disturbance = generator.lognormal(0.0, 0.5, 80)
    fast = disturbance * generator.normal(10, 0.05, 80)
    slow = disturbance * generator.normal(20, 0.05, 80)
    ratio = speedup(slow, fast)
    assert ratio.low <= 2.0 <= ratio.high
    assert ratio.high - ratio.low < 0.1


def test_unequal_or_empty_series_are_refused() -> None:
    with pytest.raises(ValueError, match="same number of rounds"):
        speedup(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="no samples"):
        summarise(np.array([]))


def test_drift() -> None:
    assert drift(np.full(9, 5.0)) == 1.0
    assert drift(np.array([1.0] * 3 + [1.5] * 3 + [2.0] * 3)) == 2.0


def test_presets_are_mlperf_mobile_s() -> None:
    assert (PRESETS["quick"].min_runs, PRESETS["quick"].min_seconds) == (128, 10.0)
    assert (PRESETS["submission"].min_runs, PRESETS["submission"].min_seconds) == (1024, 60.0)


@pytest.mark.parametrize(
    ("samples", "load", "phrase"),
    [
        (np.full(5, 400.0), 0.0, "5 runs"),
        (np.full(10, 1.0), 0.0, "s of inference"),
        (np.linspace(100.0, 200.0, 30), 0.0, "drifted"),
        (np.full(10, 200.0), 3.0, "busy"),
    ],
    ids=["count", "duration", "drift", "load"],
)
def test_each_rule_can_be_broken(samples: np.ndarray, load: float, phrase: str) -> None:
    preset = BenchmarkPreset("test", min_runs=10, min_seconds=1.0)
    issues = validity_issues(
        samples, preset, warmup=WARM, load_before=load, busy_threads=1, cores=2
    )
    assert len(issues) == 1
    assert phrase in issues[0]


def test_a_clean_run_is_valid() -> None:
    preset = BenchmarkPreset("test", min_runs=10, min_seconds=1.0)
    clean = np.full(10, 200.0)
    quiet = {"load_before": 0.2, "busy_threads": 1, "cores": 2}
    assert validity_issues(clean, preset, warmup=WARM, **quiet) == []
    cold = WarmUp(40, 20.0, settled=False)
    assert "not settled after 20 s" in validity_issues(clean, preset, warmup=cold, **quiet)[0]
