"""What the machine tells of itself while it works: energy, frequency, temperature.

From Linux's own files below /sys: psutil gives the nominal frequency where the present one is not
told. Nothing is estimated here; what the kernel does not tell, or not to us, is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from device_bench.measure.statistics import finite

_PROCESSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal")
"""Names under which kernel drivers announce a processor's own thermometers."""


@dataclass(frozen=True)
class Conditions:
    """A machine or device at one moment of a run.

    Attributes:
        run: how many inferences had been timed; places it on the axis of the samples.
        mhz: present frequency of the fastest core; None: not told.
        celsius: of the hottest sensor of the processor; None: not told.
    """

    run: int
    mhz: float | None
    celsius: float | None

    def to_dict(self) -> dict[str, Any]:
        """As it stands in result files."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        mhz, celsius = (
            None if stored[name] is None else finite(stored[name]) for name in ("mhz", "celsius")
        )
        return cls(int(stored["run"]), mhz, celsius)


class EnergyMeter:
    """Energy of all processor packages together, from RAPL's counters.

    The counters hold microjoules, move about once a millisecond and begin again at zero when they
    are full. Since 2020 kernels show them to root only.

    Args:
        root: where sysfs is mounted.
    """

    def __init__(self, root: Path):
        packages = [
            zone
            for zone in sorted((root / "class/powercap").glob("intel-rapl:*"))
            if (_text(zone / "name") or "").startswith("package")  # not their parts, nor psys
        ]
        self._counters = [zone / "energy_uj" for zone in packages]
        self._full = [_number(zone / "max_energy_range_uj") for zone in packages]
        self._last = self._read()

    def _read(self) -> list[float | None]:
        return [_number(counter) for counter in self._counters]

    def lap(self) -> float | None:
        """Joules since the lap before, or since the beginning; None: not told."""
        before, self._last = self._last, self._read()
        if not self._counters:
            return None
        total = 0.0
        for old, new, full in zip(before, self._last, self._full, strict=True):
            if old is None or new is None or full is None:
                return None
            total += new - old if new >= old else new - old + full
        return total / 1e6


class Sensors:
    """The sensors of this machine.

    Args:
        root: where sysfs is mounted; elsewhere than on Linux there is nothing, and None is told.
    """

    def __init__(self, root: Path = Path("/sys")):
        self._root = root
        self._frequencies = sorted(
            (root / "devices/system/cpu/cpufreq").glob("policy*/scaling_cur_freq")
        )
        self._thermometers = [
            sensor
            for chip in sorted((root / "class/hwmon").glob("hwmon*"))
            if _text(chip / "name") in _PROCESSORS
            for sensor in sorted(chip.glob("temp*_input"))
        ]

    def energy(self) -> EnergyMeter:
        """A meter that begins now."""
        return EnergyMeter(self._root)

    def conditions(self, run: int) -> Conditions | None:
        """The present state, after so many inferences; None: neither of its figures is told."""
        mhz = _highest(self._frequencies)
        celsius = _highest(self._thermometers)
        return None if mhz is None and celsius is None else Conditions(run, mhz, celsius)


HOST = Sensors()


def _highest(files: list[Path]) -> float | None:
    """Of readings in thousandths: kHz, or thousandths of a degree."""
    readings = [value for file in files if (value := _number(file)) is not None]
    return max(readings) / 1e3 if readings else None


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:  # no such sensor, not allowed, or the driver gives up on it
        return None


def _number(file: Path) -> float | None:
    text = _text(file)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
