"""What kind of device it is: the part of a result that does not change during a run.

Pure functions from what the device's own programs print, and the one command that asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device_bench.devices.adb.device import Device

_PROPERTY = re.compile(r"^\[([^\]]+)\]: \[(.*)\]$", re.MULTILINE)
_CPU_FILE = re.compile(r"/cpu(\d+)/cpufreq/(\w+):(.+)$", re.MULTILINE)
_ASK = """
getprop
grep -sH . /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq
grep -sH . /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor
ls -d /sys/devices/system/cpu/cpu[0-9]*
grep -s MemTotal /proc/meminfo
true
"""


@dataclass(frozen=True)
class Cluster:
    """Cores of one kind.

    Attributes:
        max_mhz: None where the device does not tell.
        governor: what chooses their frequency.
    """

    cores: int
    max_mhz: int | None
    governor: str | None


@dataclass(frozen=True)
class Description:
    """A device.

    Attributes:
        soc: the chip, as far as the device tells.
        build: what exactly runs on it.
        clusters: slow cores first.
    """

    serial: str
    model: str
    soc: str
    android: str
    api: str
    build: str
    abi: str
    clusters: tuple[Cluster, ...]
    memory_bytes: int | None

    @property
    def cores(self) -> int:
        """Of all kinds."""
        return sum(cluster.cores for cluster in self.clusters)


def describe(device: Device) -> Description:
    """Asks a device.

    Raises:
        UserError: it is gone.
    """
    return parse_description(device.serial, device.script(_ASK).out)


def parse_description(serial: str, text: str) -> Description:
    """From properties, files of `/sys` as `path:value`, and `/proc/meminfo`."""
    known = {name: value for name, value in _PROPERTY.findall(text) if value}
    maker, model = known.get("ro.product.manufacturer", ""), known.get("ro.product.model", serial)
    memory = re.search(r"MemTotal:\s+(\d+) kB", text)
    return Description(
        serial=serial,
        model=model if model.lower().startswith(maker.lower()) else f"{maker} {model}",
        soc=_soc(known),
        android=known.get("ro.build.version.release", "unknown"),
        api=known.get("ro.build.version.sdk", "unknown"),
        build=known.get("ro.build.fingerprint", "unknown"),
        abi=known.get("ro.product.cpu.abi", "unknown"),
        clusters=_clusters(text),
        memory_bytes=int(memory[1]) * 1024 if memory else None,
    )


def cpu_files(text: str) -> dict[str, dict[int, str]]:
    """Files of `cpufreq`: their names, and for each core what is in them."""
    found: dict[str, dict[int, str]] = {}
    for core, name, value in _CPU_FILE.findall(text):
        found.setdefault(name, {})[int(core)] = value.strip()
    return found


def _soc(known: Mapping[str, str]) -> str:
    named = [known.get("ro.soc.manufacturer", ""), known.get("ro.soc.model", "")]
    older = [known.get("ro.board.platform", ""), known.get("ro.hardware", "")]
    return " ".join(part for part in named if part) or " ".join(filter(None, older)) or "unknown"


def _clusters(text: str) -> tuple[Cluster, ...]:
    files = cpu_files(text)
    frequencies, governors = files.get("cpuinfo_max_freq", {}), files.get("scaling_governor", {})
    cores = {int(number) for number in re.findall(r"/cpu(\d+)\s*$", text, re.MULTILINE)}
    kinds: dict[Any, int] = {}
    for core in sorted(cores | frequencies.keys()):
        kilohertz = frequencies.get(core, "")
        kind = (int(kilohertz) // 1000 if kilohertz.isdigit() else None, governors.get(core))
        kinds[kind] = kinds.get(kind, 0) + 1
    clusters = [Cluster(count, mhz, governor) for (mhz, governor), count in kinds.items()]
    return tuple(sorted(clusters, key=lambda cluster: cluster.max_mhz or 0))
