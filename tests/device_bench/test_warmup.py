"""Warm-up ends when latency has settled, and says so when it has not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from device_bench.measure.warmup import MAX_SECONDS, MIN_SECONDS, WINDOW, WarmUp, warm_up


def warmed(series: Iterable[float]) -> WarmUp:
    """The warm-up of something that takes these seconds, one after the other."""
    latencies: Iterator[float] = iter(series)
    return warm_up(lambda: next(latencies))


def test_a_steady_model_takes_the_least_time() -> None:
    result = warmed([0.125] * 100)
    assert result == WarmUp(2 * WINDOW, 1.25, settled=True)


def test_a_fast_model_still_takes_the_least_time() -> None:
    """Ten inferences of a millisecond would not wake a processor from its sleep."""
    result = warmed([2**-10] * 5000)
    assert result.seconds == MIN_SECONDS
    assert result.settled


def test_timing_waits_while_latency_falls() -> None:
    """Stopping after a fixed count would time the processor's rise in frequency."""
    falling = [0.9**step for step in range(30)]
    result = warmed([*falling, *[falling[-1]] * 1000])
    assert result.settled
    # Two windows of the last value, less two samples that the earlier median does not see.
    assert result.runs == len(falling) + WINDOW + 2


def test_one_disturbed_inference_does_not_prolong_it() -> None:
    assert warmed([0.125] * 7 + [5.0] + [0.125] * 50).runs == 2 * WINDOW


def test_it_gives_up_and_says_so() -> None:
    """A machine that never settles must not be warmed for ever, nor be called warm."""
    result = warmed(0.25 * 1.02**step for step in range(1000))
    assert not result.settled
    assert MAX_SECONDS <= result.seconds < MAX_SECONDS + 1


def test_a_slow_model_gets_its_two_windows() -> None:
    """Three seconds an inference is the full-size panoptic model on one core."""
    assert warmed([3.0] * 50) == WarmUp(2 * WINDOW, 30.0, settled=True)
