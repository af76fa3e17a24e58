"""State of a device at one moment (battery, temperatures, limits), and waiting for it to cool."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from device_bench.devices.adb.device import AdbDevice
from device_bench.devices.adb.device_info import parse_cpu_files

THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's levels of throttling because of heat, in ascending order."""
SKIN_SENSOR = 3
"""Android's type of the sensor at the housing, which controls its throttling."""
POLL_SECONDS = 5.0
_CHARGING, _FULL = 2, 5
"""Android's battery states in which the device takes current."""
_TEMPERATURE = re.compile(r"Temperature\{mValue=([-\d.]+), mType=(-?\d+), mName=([^,]*), mStatus=")
_READ_SCRIPT = """
dumpsys battery
echo "==="
dumpsys thermalservice
echo "==="
settings get global low_power
echo "==="
grep -sH . /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_max_freq
true
"""


@dataclass(frozen=True)
class DeviceState:
    """Everything that can change between two runs; None: not reported.

    Attributes:
        battery_percent: charge.
        battery_celsius: temperature of the battery, which every device reports.
        charging: whether the battery takes current; its output cannot be measured then.
        charge_uah: remaining charge, in microampere hours.
        voltage_mv: of the battery.
        thermal_status: one of `THERMAL_STATUS`.
        skin_celsius: temperature of the housing.
        temperatures: of all of Android's sensors, by name.
        battery_saver: whether Android saves power, which disables fast cores.
        max_mhz: highest frequency that any core is currently allowed.
    """

    battery_percent: int | None
    battery_celsius: float | None
    charging: bool | None
    charge_uah: int | None
    voltage_mv: int | None
    thermal_status: str | None
    skin_celsius: float | None
    temperatures: Mapping[str, float]
    battery_saver: bool | None
    max_mhz: int | None

    def heat_issue(self, max_celsius: float) -> str | None:
        """Why the device is too warm to start; None if it is not.

        Args:
            max_celsius: highest accepted temperature of the battery.
        """
        if self.thermal_status not in (None, "none"):
            return f"Android's thermal status is {self.thermal_status}"
        if self.battery_celsius is not None and self.battery_celsius > max_celsius:
            return f"the battery has {self.battery_celsius:.1f} °C, the limit is {max_celsius:g}"
        return None


@dataclass(frozen=True)
class CoolDown:
    """Result of waiting for a cool device.

    Attributes:
        seconds: waiting time.
        state: of the device at the end.
        heat_issue: why it is still too warm; None if it is not.
    """

    seconds: float
    state: DeviceState
    heat_issue: str | None


def read_device_state(device: AdbDevice) -> DeviceState:
    """Read the state of a connected device.

    Raises:
        UserError: it is disconnected.
    """
    return parse_device_state(device.script(_READ_SCRIPT).out)


def parse_device_state(text: str) -> DeviceState:
    """Parse `dumpsys battery`, `dumpsys thermalservice`, a setting and files, divided by `===`."""
    battery, thermal, saver, frequencies = (text.split("===\n") + [""] * 4)[:4]
    fields = dict(re.findall(r"^\s*([\w ]+): (\S+)\s*$", battery, re.MULTILINE))
    numbers = {name: int(value) for name, value in fields.items() if value.lstrip("-").isdigit()}
    level, scale, status = numbers.get("level"), numbers.get("scale", 100), numbers.get("status")
    tenths = numbers.get("temperature")
    sensors = _parse_temperatures(thermal)
    skin = [celsius for celsius, sensor_type, _ in sensors if sensor_type == SKIN_SENSOR]
    thermal_status = re.search(r"Thermal Status: (\d)", thermal)
    max_frequencies = parse_cpu_files(frequencies).get("scaling_max_freq", {}).values()
    kilohertz = [int(value) for value in max_frequencies if value.isdigit()]
    return DeviceState(
        battery_percent=None if level is None or scale <= 0 else round(100 * level / scale),
        battery_celsius=None if tenths is None else tenths / 10,
        charging=None if status is None else status in (_CHARGING, _FULL),
        charge_uah=numbers.get("Charge counter"),
        voltage_mv=numbers.get("voltage"),
        thermal_status=THERMAL_STATUS[min(int(thermal_status[1]), 6)] if thermal_status else None,
        skin_celsius=max(skin, default=None),
        temperatures={name: celsius for celsius, _, name in sensors},
        battery_saver={"1": True, "0": False}.get(saver.strip()),
        max_mhz=max(kilohertz) // 1000 if kilohertz else None,
    )


def cool_down(
    read_state: Callable[[], DeviceState],
    *,
    max_celsius: float,
    max_seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    on_wait: Callable[[str], None],
) -> CoolDown:
    """Wait until the device is cool enough, at most `max_seconds`.

    Args:
        read_state: reads the state of the device.
        max_celsius: highest accepted temperature of the battery.
        max_seconds: longest wait.
        clock: seconds of a monotonic clock.
        sleep: waits for some seconds.
        on_wait: called with the reason before each wait.
    """
    start = clock()
    while True:
        state = read_state()
        issue, waited = state.heat_issue(max_celsius), clock() - start
        if issue is None or waited >= max_seconds:
            return CoolDown(waited, state, issue)
        on_wait(f"cooling down, {waited:.0f} s: {issue}")
        sleep(min(POLL_SECONDS, max_seconds - waited))


def _parse_temperatures(thermal: str) -> list[tuple[float, int, str]]:
    """Celsius, type and name of each sensor; current values if present, else cached ones."""
    cached, _, current = thermal.partition("Current temperatures from HAL:")
    current = current.partition("Current cooling devices")[0]
    matches = _TEMPERATURE.findall(current) or _TEMPERATURE.findall(cached)
    return [(float(value), int(sensor_type), name) for value, sensor_type, name in matches]
