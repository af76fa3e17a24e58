"""State, readings and description of devices; cool-down; throttling; energy; crash reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from device_bench.devices.adb.app_run import PACKAGE, crash_reason
from device_bench.devices.adb.device_info import CoreCluster, parse_device_info
from device_bench.devices.adb.device_state import DeviceState, cool_down, parse_device_state
from device_bench.devices.adb.monitor import (
    DeviceReading,
    device_energy,
    parse_reading,
    sensor_readings,
    throttling_issues,
)
from device_bench.measure.sensors import SensorReading

CPU = "/sys/devices/system/cpu"
BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Dock powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 2453000
  status: 2
  health: 2
  present: true
  level: 170
  scale: 200
  voltage: 4212
  temperature: 289
  technology: Li-ion
"""
THERMAL = """\
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 3
Thermal Status: 3
Cached temperatures:
\tTemperature{mValue=40.0, mType=3, mName=VIRTUAL-SKIN, mStatus=3}
\tTemperature{mValue=29.1, mType=2, mName=battery, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL AIDL 1  connected: yes
Current temperatures from HAL:
\tTemperature{mValue=61.0, mType=0, mName=BIG, mStatus=0}
\tTemperature{mValue=38.25, mType=3, mName=VIRTUAL-SKIN, mStatus=2}
Current cooling devices from HAL:
\tCoolingDevice{mValue=4, mType=2, mName=thermal-cpufreq-0}
Temperature static thresholds from HAL:
\tTemperatureThreshold{mType=3, mName=VIRTUAL-SKIN, mHotThrottlingThresholds=[NaN, 37.0, 39.0]}
"""
COOL = DeviceState(85, 28.9, False, 2_453_000, 4200, "none", 31.5, {}, False, 2914)


def test_device_state() -> None:
    caps = "".join(f"{CPU}/cpu{i}/cpufreq/scaling_max_freq:{1704000 + i}\n" for i in range(4))
    state = parse_device_state(f"{BATTERY}===\n{THERMAL}===\n1\n===\n{caps}")
    assert state == DeviceState(
        battery_percent=85,
        battery_celsius=28.9,
        charging=True,
        charge_uah=2_453_000,
        voltage_mv=4212,
        thermal_status="severe",
        skin_celsius=38.25,
        temperatures={"BIG": 61.0, "VIRTUAL-SKIN": 38.25},
        battery_saver=True,
        max_mhz=1704,
    )


def test_device_state_of_what_tells_nothing() -> None:
    """An old or a closed device: unknown, not zero."""
    state = parse_device_state("===\nCan't find service: thermalservice\n===\nnull\n===\n")
    unknown = DeviceState(None, None, None, None, None, None, None, {}, None, None)
    assert state == unknown
    assert state.heat_issue(35) is None
    assert device_energy([], unknown, unknown, seconds=1, mean_ms=1) is None


def test_description_of_an_older_device() -> None:
    """No name for the chip, no frequencies; a maker that is part of the model's name once."""
    text = (
        "[ro.product.manufacturer]: [samsung]\n[ro.product.model]: [Samsung SM-A520F]\n"
        "[ro.board.platform]: [universal7880]\n[ro.hardware]: [samsungexynos7880]\n"
        "[ro.build.version.release]: [8.0.0]\n[persist.empty]: []\n"
        f"{CPU}/cpu0\n{CPU}/cpu1\n"
    )
    found = parse_device_info("s1", text)
    assert found.model == "Samsung SM-A520F"
    assert found.soc == "universal7880 samsungexynos7880"
    assert (found.android, found.api, found.memory_bytes) == ("8.0.0", "unknown", None)
    assert found.clusters == (CoreCluster(2, None, None),)


def test_cool_down_waits_and_gives_up() -> None:
    """It begins at the limit, and waits no longer than allowed."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def waited(temperatures: Iterator[float], seconds: float) -> tuple[float, str | None]:
        reasons: list[str] = []
        start = now
        done = cool_down(
            lambda: replace(COOL, battery_celsius=next(temperatures)),
            max_celsius=35,
            max_seconds=seconds,
            clock=lambda: now - start,
            sleep=sleep,
            on_wait=reasons.append,
        )
        assert bool(reasons) == (done.seconds > 0)
        return done.seconds, done.heat_issue

    assert waited(iter([35.0]), 300) == (0, None)
    assert waited(iter([38.0, 36.0, 34.9]), 300) == (10, None)
    assert waited(iter([38.0] * 4), 12) == (12, "the battery has 38.0 °C, the limit is 35")
    warm = replace(COOL, thermal_status="light").heat_issue(35)
    assert warm == "Android's thermal status is light"


def test_throttling_signs() -> None:
    def readings(*clocks: int | None) -> list[DeviceReading]:
        return [DeviceReading(float(i), mhz, None, None) for i, mhz in enumerate(clocks)]

    steady = readings(2914, 2914, 2850, 2914, 2900, 2914)
    assert throttling_issues(steady, COOL, COOL) == []
    assert throttling_issues(readings(1000, 2914, 2914, 2914, 2914, 2914), COOL, COOL) == []
    (sign,) = throttling_issues(readings(2914, 2914, 2914, 2000, 2000, 2000), COOL, COOL)
    assert sign == "throttled during the run: the fastest core went from 2914 to 2000 MHz"
    assert throttling_issues(readings(2914, 2000), COOL, COOL) == []  # too few to tell
    capped = replace(COOL, max_mhz=2000, thermal_status="moderate")
    signs = throttling_issues(readings(*[None] * 6), COOL, capped)
    assert "the highest clock allowed fell from 2914 to 2000 MHz" in signs[0]
    assert "thermal status rose to moderate" in signs[1]


def test_energy() -> None:
    """Watts over the run times the mean latency; from the counter where there is no current."""
    readings = [DeviceReading(i, None, watts, None) for i, watts in enumerate((2.0, 4.0, None))]
    found = device_energy(readings, COOL, COOL, seconds=10, mean_ms=20)
    assert found is not None
    assert (found.watts, found.millijoules) == (3.0, 60.0)

    drained = replace(COOL, charge_uah=2_453_000 - 1_000)  # 1 mAh = 3.6 As at 4.2 V in 10 s
    found = device_energy([], COOL, drained, seconds=10, mean_ms=20)
    assert found is not None
    assert found.watts == pytest.approx(1.512)
    assert found.source == "charge counter"

    charging = replace(COOL, charging=True)
    assert device_energy(readings, charging, charging, seconds=10, mean_ms=20) is None
    milliampere = [DeviceReading(0, None, 0.002, None)]  # a file in other units than it should be
    assert device_energy(milliampere, COOL, COOL, seconds=10, mean_ms=20) is None


def test_reading() -> None:
    """The sign of the current depends on the maker."""
    text = (
        f"{CPU}/cpu0/cpufreq/scaling_cur_freq:1704000\n{CPU}/cpu7/cpufreq/scaling_cur_freq:2914000\n"
        "current_now:-750000\nvoltage_now:4000000\ntemp:312\n"
    )
    assert parse_reading(text, 1.5) == DeviceReading(1.5, 2914, pytest.approx(3.0), 31.2)
    assert parse_reading("", 0) == DeviceReading(0, None, None, None)


def test_readings_on_the_axis_of_samples() -> None:
    """Those of loading and warming up are left out."""
    readings = [DeviceReading(float(i), 2000 + i, None, 30.0 + i) for i in range(6)]
    placed = sensor_readings(readings, np.full(24, 125.0))  # the last three seconds
    assert placed == [SensorReading(8 * i, 2002 + i, 32.0 + i) for i in range(4)]
    assert sensor_readings([DeviceReading(1.0, None, 2.0, None)], np.full(3, 1.0)) == []
    assert sensor_readings([], np.full(3, 1.0)) == []


def test_reason_of_a_native_crash() -> None:
    log = (
        "F DEBUG   : pid: 1, tid: 9, name: benchmark  >>> com.example.other <<<\n"
        "F DEBUG   : signal 6 (SIGABRT), code -1 (SI_QUEUE), fault addr --------\n"
        f"F DEBUG   : pid: 2, tid: 8, name: benchmark  >>> {PACKAGE} <<<\n"
        "F DEBUG   : uid: 10234\n"
        "F DEBUG   : signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x0\n"
    )
    assert crash_reason(log) == "signal 11 (SIGSEGV)"
    assert crash_reason("") is None
