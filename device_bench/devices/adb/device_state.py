"""How a device is at one moment: battery, temperatures, savers; and waiting until it has cooled.

Pure functions from what `dumpsys` prints, but for `read_condition`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from device_bench.devices.adb.device import Device
from device_bench.devices.adb.device_info import cpu_files

THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's words for how much it holds the device back because of heat."""
SKIN = 3
"""Android's type of the sensor at the housing, which its throttling goes by."""
_CHARGING, _FULL = 2, 5
POLL_SECONDS = 5.0
_TEMPERATURE = re.compile(r"Temperature\{mValue=([-\d.]+), mType=(-?\d+), mName=([^,]*), mStatus=")
_ASK = """
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
class Condition:
    """What can change between two runs; None where the device does not tell.

    Attributes:
        battery_percent: charge.
        battery_celsius: temperature of the battery, which every device tells.
        charging: whether it takes current; what it gives cannot be measured then.
        charge_uah: charge left, in microampere hours.
        voltage_mv: of the battery.
        thermal_status: one of `THERMAL_STATUS`.
        skin_celsius: temperature of the housing.
        temperatures: of all of Android's sensors.
        battery_saver: whether Android saves power, which takes fast cores away.
        max_mhz: the highest frequency that any core may have now.
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

    def warm(self, limit: float) -> str | None:
        """Why the device is too warm to begin; None if it is not.

        Args:
            limit: highest temperature of the battery, in degrees Celsius.
        """
        if self.thermal_status not in (None, "none"):
            return f"Android's thermal status is {self.thermal_status}"
        if self.battery_celsius is not None and self.battery_celsius > limit:
            return f"the battery has {self.battery_celsius:.1f} °C, the limit is {limit:g}"
        return None


@dataclass(frozen=True)
class CoolDown:
    """How waiting for a cool device ended.

    Attributes:
        seconds: how long it took.
        condition: the last one read.
        still_warm: why it is still too warm; None if it is cool.
    """

    seconds: float
    condition: Condition
    still_warm: str | None


def read_condition(device: Device) -> Condition:
    """Asks a device.

    Raises:
        UserError: it is gone.
    """
    return parse_condition(device.script(_ASK).out)


def parse_condition(text: str) -> Condition:
    """From `dumpsys battery`, `dumpsys thermalservice`, a setting and files, `===` between them."""
    battery, thermal, saver, caps = (text.split("===\n") + [""] * 4)[:4]
    fields = dict(re.findall(r"^\s*([\w ]+): (\S+)\s*$", battery, re.MULTILINE))
    numbers = {name: int(value) for name, value in fields.items() if value.lstrip("-").isdigit()}
    level, scale, status = numbers.get("level"), numbers.get("scale", 100), numbers.get("status")
    tenths = numbers.get("temperature")
    sensors = _current(thermal)
    skins = [value for value, kind, _ in sensors if kind == SKIN]
    known = re.search(r"Thermal Status: (\d)", thermal)
    kilohertz = [
        int(v) for v in cpu_files(caps).get("scaling_max_freq", {}).values() if v.isdigit()
    ]
    return Condition(
        battery_percent=None if level is None or scale <= 0 else round(100 * level / scale),
        battery_celsius=None if tenths is None else tenths / 10,
        charging=None if status is None else status in (_CHARGING, _FULL),
        charge_uah=numbers.get("Charge counter"),
        voltage_mv=numbers.get("voltage"),
        thermal_status=THERMAL_STATUS[min(int(known[1]), 6)] if known else None,
        skin_celsius=max(skins, default=None),
        temperatures={name: value for value, _, name in sensors},
        battery_saver={"1": True, "0": False}.get(saver.strip()),
        max_mhz=max(kilohertz) // 1000 if kilohertz else None,
    )


def _current(thermal: str) -> list[tuple[float, int, str]]:
    """Value, type and name of each sensor; what the hardware says now, else what Android kept."""
    kept, _, now = thermal.partition("Current temperatures from HAL:")
    now = now.partition("Current cooling devices")[0]
    found = _TEMPERATURE.findall(now) or _TEMPERATURE.findall(kept)
    return [(float(value), int(kind), name) for value, kind, name in found]


def cool_down(
    read: Callable[[], Condition],
    *,
    limit: float,
    seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    tick: Callable[[str], None],
) -> CoolDown:
    """Waits until the device is cool enough, or for `seconds`.

    Args:
        read: asks the device.
        limit: highest temperature of the battery, in degrees Celsius.
        clock: seconds of a clock that only goes forwards.
        tick: told why it waits.
    """
    start = clock()
    while True:
        condition = read()
        reason, waited = condition.warm(limit), clock() - start
        if reason is None or waited >= seconds:
            return CoolDown(waited, condition, reason)
        tick(f"cooling down, {waited:.0f} s: {reason}")
        sleep(min(POLL_SECONDS, seconds - waited))
