"""The page's warm-up and order of inferences are the same as Python's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_bench.measure import interleaved, warmup
from device_bench.measure.config import BenchConfig, no_progress
from device_bench.measure.preset import BenchmarkPreset
from device_bench.measure.sensors import Sensors
from device_bench.measure.warmup import warm_up
from tests.device_bench.browser_node import in_node


def test_warm_up_ends_where_pythons_ends() -> None:
    """Series that settle at once, late or never, on fine clocks and on Safari's of whole ms."""
    generator = np.random.default_rng(7)
    rule = {
        "window": warmup.WINDOW,
        "tolerance": warmup.TOLERANCE,
        "least_seconds": warmup.MIN_SECONDS,
        "most_seconds": warmup.MAX_SECONDS,
    }
    series = [[100.0] * 300, [100.0, 105.0] * 150, [10.0] * 3000]
    for number in range(60):
        base = generator.choice([3.0, 20.0, 90.0, 400.0])
        samples = base * generator.normal(1, 0.01 * (number % 12), 8000).clip(0.5, 2)
        samples *= np.linspace(1.5, 1, 8000) if number % 3 == 0 else 1
        series.append((samples.round() if number % 2 else samples).clip(1).tolist())
    output = in_node(
        "timing.js",
        """
        const [rule, series] = data, output = [];
        for (const samples of series) {
          const left = samples.values();
          output.push((await page.warmUp(async () => left.next().value, rule)).length);
        }
        """,
        rule,
        series,
    )
    expected = []
    for samples in series:
        left = iter(np.array(samples) / 1e3)
        expected.append(warm_up(lambda left=left: float(next(left))).runs)  # type: ignore[misc]
    assert output == expected
    assert len(set(expected)) > 10  # not all of them end at the first chance


@pytest.mark.parametrize(("runs", "seconds"), [(5, 0.0), (1, 0.5)])
def test_inferences_are_interleaved_as_pythons(runs: int, seconds: float, tmp_path: Path) -> None:
    """Forwards and backwards in turn, until both limits are met by all."""
    order, series = in_node(
        "timing.js",
        """
        const [runs, seconds] = data, order = [];
        const infer = async (index) => { order.push(index); return 30 + 10 * index; };
        const output = [order, await page.timeInterleaved(infer, 3, { runs, seconds }, () => {})];
        """,
        runs,
        seconds,
    )
    expected: list[int] = []

    class TimedSession:
        stages = None

        def __init__(self, index: int):
            self.index = index

        def run_once(self) -> float:
            expected.append(self.index)
            return (30 + 10 * self.index) / 1e3

    sessions: Any = [TimedSession(index) for index in range(3)]
    config = BenchConfig(BenchmarkPreset("test", runs, seconds), 1, runs, seconds)
    sensors = Sensors(tmp_path)  # of no machine
    rounds = interleaved._run_rounds(sessions, config, no_progress, sensors)
    assert order == expected
    assert series == [pytest.approx(values.tolist()) for values in rounds.samples]
