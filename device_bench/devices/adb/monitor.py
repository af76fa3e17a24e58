"""Reads clocks, power and temperature of a device while a benchmark runs.

A reading costs a few milliseconds of a slow core per second.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from device_bench.devices.adb.device import AdbDevice
from device_bench.devices.adb.device_info import parse_cpu_files
from device_bench.devices.adb.device_state import THERMAL_STATUS, DeviceState
from device_bench.measure.sensors import SensorReading
from device_bench.measure.statistics import LatencySamples
from device_bench.measure.validity import MAX_DRIFT
from lvt.errors import UserError

PERIOD_SECONDS = 1.0
_MIN_READINGS = 6
"""Readings needed to compare the first and the last third."""
_MIN_WATTS = 0.1
"""A phone that computes takes more power. Lower values mean that the files of this maker do not
use the units of the kernel's documentation."""
_READ_SCRIPT = """
grep -sH . /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq
cd /sys/class/power_supply/battery && grep -sH . current_now voltage_now temp
true
"""


@dataclass(frozen=True)
class DeviceReading:
    """Clocks, power and temperature at one moment; None: not reported.

    Attributes:
        seconds: since the monitor started.
        max_mhz: frequency of the fastest core.
        watts: power from the battery for the whole device.
        celsius: temperature of the battery.
    """

    seconds: float
    max_mhz: int | None
    watts: float | None
    celsius: float | None


@dataclass(frozen=True)
class DeviceEnergy:
    """Energy of the whole device from its battery, including the screen.

    Attributes:
        watts: average over the run.
        millijoules: per inference.
        source: the readings that it was computed from.
    """

    watts: float
    millijoules: float
    source: str


class DeviceMonitor:
    """Reads the device once per second in its own thread. A context manager."""

    def __init__(self, device: AdbDevice):
        self._device = device
        self._readings: list[DeviceReading] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    @property
    def readings(self) -> tuple[DeviceReading, ...]:
        """The readings so far, in order."""
        return tuple(self._readings)

    def __enter__(self) -> DeviceMonitor:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _read(self) -> None:
        start = time.monotonic()
        while not self._ended.is_set():
            try:
                text = self._device.script(_READ_SCRIPT).out
            except UserError:
                return  # the run itself fails too, and reports the error
            self._readings.append(parse_reading(text, time.monotonic() - start))
            self._ended.wait(PERIOD_SECONDS)


def parse_reading(text: str, seconds: float) -> DeviceReading:
    """Parse files of `/sys` as `path:value`; those of the battery have no folder."""
    frequencies = parse_cpu_files(text).get("scaling_cur_freq", {}).values()
    kilohertz = [int(value) for value in frequencies if value.isdigit()]
    current, voltage, tenths = (
        re.search(rf"^{name}:(-?\d+)", text, re.MULTILINE)
        for name in ("current_now", "voltage_now", "temp")
    )
    watts = None
    if current and voltage:  # microampere and microvolt; the sign depends on the maker
        watts = abs(int(current[1])) * 1e-6 * int(voltage[1]) * 1e-6
    return DeviceReading(
        seconds,
        max(kilohertz) // 1000 if kilohertz else None,
        watts,
        int(tenths[1]) / 10 if tenths else None,
    )


def sensor_readings(
    readings: Sequence[DeviceReading], samples_ms: LatencySamples
) -> list[SensorReading]:
    """Assign readings to samples, assuming that the last reading is at the end of the run."""
    if not readings:
        return []
    ends = np.cumsum(samples_ms) / 1e3
    start = readings[-1].seconds - ends[-1]
    return [
        SensorReading(
            run=int(np.searchsorted(ends, reading.seconds - start, "right")),
            mhz=reading.max_mhz,
            celsius=reading.celsius,
        )
        for reading in readings
        if reading.seconds >= start and not reading.max_mhz is reading.celsius is None
    ]


def throttling_issues(
    readings: Sequence[DeviceReading], before: DeviceState, after: DeviceState
) -> list[str]:
    """Signs that the device was throttled during the run; empty if there are none."""
    signs = []
    clocks = [reading.max_mhz for reading in readings if reading.max_mhz is not None]
    if len(clocks) >= _MIN_READINGS:
        third = len(clocks) // 3
        first, last = np.median(clocks[:third]), np.median(clocks[-third:])
        if first > MAX_DRIFT * last:
            signs.append(f"the fastest core went from {first:.0f} to {last:.0f} MHz")
    if before.max_mhz and after.max_mhz and before.max_mhz > MAX_DRIFT * after.max_mhz:
        signs.append(f"the highest clock allowed fell from {before.max_mhz} to {after.max_mhz} MHz")
    if after.thermal_status is not None and _thermal_level(after) > _thermal_level(before):
        signs.append(f"Android's thermal status rose to {after.thermal_status}")
    return [f"throttled during the run: {sign}" for sign in signs]


def device_energy(
    readings: Sequence[DeviceReading],
    before: DeviceState,
    after: DeviceState,
    *,
    seconds: float,
    mean_ms: float,
) -> DeviceEnergy | None:
    """Energy of the run; None if the device does not report it, or charges during the run.

    Args:
        readings: during the run.
        before: state of the device before the run.
        after: state after it.
        seconds: between the two states.
        mean_ms: mean latency of one inference.
    """
    if before.charging is not False or after.charging is not False:
        return None
    watts = [reading.watts for reading in readings if reading.watts is not None]
    if watts:
        mean, source = float(np.mean(watts)), "current_now and voltage_now"
    elif before.charge_uah and after.charge_uah and after.voltage_mv and seconds > 0:
        drained = (before.charge_uah - after.charge_uah) * 1e-6 * 3600  # ampere seconds
        mean, source = drained * after.voltage_mv * 1e-3 / seconds, "charge counter"
    else:
        return None
    if mean < _MIN_WATTS:
        return None
    return DeviceEnergy(mean, mean * mean_ms, source)


def _thermal_level(state: DeviceState) -> int:
    return THERMAL_STATUS.index(state.thermal_status or "none")
