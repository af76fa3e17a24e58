"""Energy, clock frequency and temperature of this machine, from Linux's files below /sys.

Nothing is estimated: a value that the kernel does not report is None. psutil is not used, because
it falls back to the nominal frequency where the current one is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from device_bench.measure.statistics import finite_number, read_optional

_PROCESSOR_SENSORS = (
    "coretemp",
    "k10temp",
    "zenpower",
    "cpu_thermal",
    "cpu-thermal",
    "soc_thermal",
)
"""Names of kernel drivers whose thermometers measure the processor."""


@dataclass(frozen=True)
class SensorReading:
    """Clock frequency and temperature at one moment of a run, of this machine or of a device.

    Attributes:
        run: number of timed inferences before the reading.
        mhz: current frequency of the fastest core; None: not reported.
        celsius: of the hottest sensor of the processor; None: not reported.
    """

    run: int
    mhz: float | None
    celsius: float | None

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged.
        """
        mhz, celsius = (read_optional(finite_number, stored[name]) for name in ("mhz", "celsius"))
        return cls(int(stored["run"]), mhz, celsius)


class EnergyMeter:
    """Energy of all processor packages together, from RAPL's counters.

    The counters hold microjoules, are updated about every millisecond and restart at zero when
    they overflow. Kernels since 2020 let only root read them.

    Args:
        root: where sysfs is mounted.
    """

    def __init__(self, root: Path):
        packages = [
            zone
            for zone in sorted((root / "class/powercap").glob("intel-rapl:*"))
            # "core" and "uncore" are parts of a package; "psys" contains the packages.
            if (_read_text(zone / "name") or "").startswith("package")
        ]
        self._counters = [zone / "energy_uj" for zone in packages]
        self._ranges = [_read_number(zone / "max_energy_range_uj") for zone in packages]
        self._last = self._read()

    def lap(self) -> float | None:
        """Joules since the previous call, or since the meter was created; None: unknown."""
        previous, self._last = self._last, self._read()
        if not self._counters:
            return None
        total = 0.0
        for old, new, counter_range in zip(previous, self._last, self._ranges, strict=True):
            if old is None or new is None or counter_range is None:
                return None
            total += new - old if new >= old else new - old + counter_range
        return total / 1e6

    def _read(self) -> list[float | None]:
        return [_read_number(counter) for counter in self._counters]


class Sensors:
    """The sensors of this machine.

    Args:
        root: where sysfs is mounted. Other systems than Linux have no such folder, and every
            reading is None.
    """

    def __init__(self, root: Path = Path("/sys")):
        self._root = root
        self._frequencies = sorted(
            (root / "devices/system/cpu/cpufreq").glob("policy*/scaling_cur_freq")
        )
        self._thermometers = [
            sensor
            for chip in sorted((root / "class/hwmon").glob("hwmon*"))
            if _read_text(chip / "name") in _PROCESSOR_SENSORS
            for sensor in sorted(chip.glob("temp*_input"))
        ]

    def energy_meter(self) -> EnergyMeter:
        """A meter that starts now."""
        return EnergyMeter(self._root)

    def read(self, run: int) -> SensorReading | None:
        """Current frequency and temperature after `run` inferences; None: both are unknown."""
        mhz = _highest_in_thousands(self._frequencies)
        celsius = _highest_in_thousands(self._thermometers)
        return None if mhz is None and celsius is None else SensorReading(run, mhz, celsius)


HOST_SENSORS = Sensors()


def _highest_in_thousands(files: list[Path]) -> float | None:
    """Highest reading over 1000: the files hold kHz or thousandths of a degree."""
    readings = [value for file in files if (value := _read_number(file)) is not None]
    return max(readings) / 1e3 if readings else None


def _read_text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:  # missing sensor, missing permission, or a driver error
        return None


def _read_number(file: Path) -> float | None:
    text = _read_text(file)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
