"""What the device does while a benchmark runs: clocks, power and temperature, once in a while.

Reading them costs the device little, but not nothing: a few milliseconds of a slow core a second.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from device_bench.devices.adb.device import Device
from device_bench.devices.adb.device_info import cpu_files
from device_bench.devices.adb.device_state import THERMAL_STATUS, Condition
from device_bench.measure.preset import MAX_DRIFT
from device_bench.measure.sensors import Conditions
from device_bench.measure.statistics import Samples
from lvt.errors import UserError

PERIOD_SECONDS = 1.0
_ENOUGH = 6
"""Readings from which on a first and a last third mean something."""
_IDLE_WATTS = 0.1
"""A phone that computes takes more; less means that the file is in other units than the kernel's
documentation says, as some makers' are."""
_ASK = """
grep -sH . /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq
cd /sys/class/power_supply/battery && grep -sH . current_now voltage_now temp
true
"""


@dataclass(frozen=True)
class Reading:
    """One moment.

    Attributes:
        seconds: since the watch began.
        max_mhz: of the fastest core; None where the device does not tell.
        watts: what the battery gives, whatever for; None where the device does not tell.
        celsius: temperature of the battery; None where the device does not tell.
    """

    seconds: float
    max_mhz: int | None
    watts: float | None
    celsius: float | None


@dataclass(frozen=True)
class Energy:
    """What the whole device took from its battery, its screen included.

    Attributes:
        watts: on average, over the run.
        millijoules: for one inference.
        source: which of the device's figures it comes from.
    """

    watts: float
    millijoules: float
    source: str


def parse_reading(text: str, seconds: float) -> Reading:
    """From files of `/sys` as `path:value`, the battery's by their names alone."""
    clocks = [int(v) for v in cpu_files(text).get("scaling_cur_freq", {}).values() if v.isdigit()]
    current, voltage, tenths = (
        re.search(rf"^{name}:(-?\d+)", text, re.MULTILINE)
        for name in ("current_now", "voltage_now", "temp")
    )
    watts = None
    if current and voltage:  # microampere and microvolt; the sign depends on the maker
        watts = abs(int(current[1])) * 1e-6 * int(voltage[1]) * 1e-6
    return Reading(
        seconds,
        max(clocks) // 1000 if clocks else None,
        watts,
        int(tenths[1]) / 10 if tenths else None,
    )


class Watch:
    """Reads once a second, in a thread of its own, for as long as it is entered."""

    def __init__(self, device: Device):
        self._device = device
        self._readings: list[Reading] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """So far, in order."""
        return tuple(self._readings)

    def __enter__(self) -> Watch:
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
                text = self._device.script(_ASK).out
            except UserError:
                return  # the run itself finds out too, and says so
            self._readings.append(parse_reading(text, time.monotonic() - start))
            self._ended.wait(PERIOD_SECONDS)


def conditions(readings: Sequence[Reading], samples_ms: Samples) -> list[Conditions]:
    """The readings on the axis of the samples: the last one is taken for the end of the run."""
    if not readings:
        return []
    ends = np.cumsum(samples_ms) / 1e3
    start = readings[-1].seconds - ends[-1]
    return [
        Conditions(
            int(np.searchsorted(ends, reading.seconds - start, "right")),
            reading.max_mhz,
            reading.celsius,
        )
        for reading in readings
        if reading.seconds >= start and not reading.max_mhz is reading.celsius is None
    ]


def throttling(readings: Sequence[Reading], before: Condition, after: Condition) -> list[str]:
    """What says that the device was held back during the run; empty if nothing does."""
    signs = []
    clocks = [reading.max_mhz for reading in readings if reading.max_mhz is not None]
    if len(clocks) >= _ENOUGH:
        third = len(clocks) // 3
        first, last = np.median(clocks[:third]), np.median(clocks[-third:])
        if first > MAX_DRIFT * last:
            signs.append(f"the fastest core went from {first:.0f} to {last:.0f} MHz")
    if before.max_mhz and after.max_mhz and before.max_mhz > MAX_DRIFT * after.max_mhz:
        signs.append(f"the highest clock allowed fell from {before.max_mhz} to {after.max_mhz} MHz")
    if after.thermal_status is not None and _rank(after) > _rank(before):
        signs.append(f"Android's thermal status rose to {after.thermal_status}")
    return [f"throttled during the run: {sign}" for sign in signs]


def _rank(condition: Condition) -> int:
    return THERMAL_STATUS.index(condition.thermal_status or "none")


def energy(
    readings: Sequence[Reading],
    before: Condition,
    after: Condition,
    *,
    seconds: float,
    mean_ms: float,
) -> Energy | None:
    """What the run took; None where the device does not tell, or charges meanwhile.

    Args:
        seconds: from `before` to `after`.
        mean_ms: of one inference.
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
    if mean < _IDLE_WATTS:
        return None
    return Energy(mean, mean * mean_ms, source)
