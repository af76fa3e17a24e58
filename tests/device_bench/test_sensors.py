"""Energy, frequency and temperature, from a tree of files laid out as Linux lays out /sys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from device_bench.measure.config import BenchConfig, no_progress
from device_bench.measure.interleaved import SessionTiming, TimedSession, time_interleaved
from device_bench.measure.preset import BenchmarkPreset
from device_bench.measure.sensors import SensorReading, Sensors
from export.session import Outputs

FULL = 262_143_328_850
IMAGE = np.zeros((1, 3, 8, 8), np.float32)


def put(file: Path, content: float | str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{content}\n")
    return file


def zone(root: Path, folder: str, name: str, microjoules: int) -> Path:
    """A RAPL zone; returns its counter."""
    place = root / "class/powercap" / folder
    put(place / "name", name)
    put(place / "max_energy_range_uj", FULL)
    return put(place / "energy_uj", microjoules)


def test_packages_are_added_up_and_their_parts_are_not(tmp_path: Path) -> None:
    """Cores and memory controllers are inside their package, and psys holds the packages."""
    first = zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 1_000_000)
    others = [
        zone(tmp_path, "intel-rapl:0:0", "core", 0),
        zone(tmp_path, "intel-rapl:2", "psys", 0),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0),
    ]
    meter = Sensors(tmp_path).energy_meter()
    put(first, 7_500_000)
    put(second, 1_250_000)
    for other in others:
        put(other, 900_000_000)
    assert meter.lap() == pytest.approx(2.75)
    assert meter.lap() == 0


def test_a_full_counter_begins_again(tmp_path: Path) -> None:
    """A server's package fills it within minutes; a negative energy would follow."""
    counter = zone(tmp_path, "intel-rapl:0", "package-0", FULL - 1_000_000)
    meter = Sensors(tmp_path).energy_meter()
    put(counter, 500_000)
    assert meter.lap() == pytest.approx(1.5)


def test_what_cannot_be_read_is_not_told(tmp_path: Path) -> None:
    """No RAPL, a counter that is for root only, a driver that fails: none of them is zero."""
    assert Sensors(tmp_path).energy_meter().lap() is None
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    meter = Sensors(tmp_path).energy_meter()
    counter.unlink()
    assert meter.lap() is None
    counter.mkdir()  # reading it is an error, for root too
    assert meter.lap() is None
    assert Sensors(tmp_path).read(0) is None


def test_the_fastest_core_and_the_hottest_processor_sensor(tmp_path: Path) -> None:
    """A disk's thermometer says nothing of the processor."""
    cpus = tmp_path / "devices/system/cpu/cpufreq"
    put(cpus / "policy0/scaling_cur_freq", 800_000)
    put(cpus / "policy1/scaling_cur_freq", 3_400_000)
    put(tmp_path / "class/hwmon/hwmon0/name", "nvme")
    put(tmp_path / "class/hwmon/hwmon0/temp1_input", 99_000)
    sensors = Sensors(tmp_path)
    assert sensors.read(7) == SensorReading(7, 3400.0, None)
    put(tmp_path / "class/hwmon/hwmon1/name", "coretemp")
    put(tmp_path / "class/hwmon/hwmon1/temp1_input", 51_000)
    put(tmp_path / "class/hwmon/hwmon1/temp2_input", 53_500)
    put(tmp_path / "class/hwmon/hwmon1/temp3_input", "not a number")
    assert Sensors(tmp_path).read(7) == SensorReading(7, 3400.0, 53.5)


class Consumer:
    """A session that moves the counter, as a processor does when it works."""

    def __init__(self, counter: Path, microjoules: int):
        self.counter, self.microjoules = counter, microjoules

    def run(self, image: NDArray[np.float32]) -> Outputs:
        put(self.counter, int(self.counter.read_text()) + self.microjoules)
        return {"logits": image}


def timed(
    root: Path, *sessions: Consumer, progress: Callable[..., None] = no_progress
) -> list[SessionTiming]:
    preset = BenchmarkPreset("short", min_runs=6, min_seconds=0.0)
    return time_interleaved(
        [TimedSession(str(number), session, IMAGE) for number, session in enumerate(sessions)],
        BenchConfig(preset, threads=1, min_runs=6, min_seconds=0.0),
        progress,
        load_before=0.0,
        sensors=Sensors(root),
    )


def test_energy_is_charged_to_whom_it_is_spent_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to all alike, and not what is spent between inferences: that is our own work."""
    monkeypatch.setattr("device_bench.measure.warmup.MIN_SECONDS", 0.0)
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    between = Consumer(counter, 7_000_000)

    def use_energy() -> None:
        between.run(IMAGE)

    thrifty, greedy = timed(
        tmp_path,
        Consumer(counter, 10_000),
        Consumer(counter, 250_000),
        progress=lambda *_: use_energy(),
    )
    assert thrifty.joules == pytest.approx(0.01)
    assert greedy.joules == pytest.approx(0.25)


def test_a_run_without_sensors_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_bench.measure.warmup.MIN_SECONDS", 0.0)
    counter = put(tmp_path / "elsewhere", 0)
    (timing,) = timed(tmp_path, Consumer(counter, 1))
    assert timing.joules is None
    assert timing.readings == ()


def test_conditions_span_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page draws them under the inferences, from the first to the last."""
    monkeypatch.setattr("device_bench.measure.warmup.MIN_SECONDS", 0.0)
    put(tmp_path / "class/hwmon/hwmon0/name", "k10temp")
    put(tmp_path / "class/hwmon/hwmon0/temp1_input", 45_250)
    (timing,) = timed(tmp_path, Consumer(put(tmp_path / "elsewhere", 0), 1))
    assert timing.readings == (SensorReading(0, None, 45.25), SensorReading(6, None, 45.25))
    assert SensorReading.from_dict(timing.readings[0].to_dict()) == timing.readings[0]
