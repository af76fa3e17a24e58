"""Hardware and software of a device: the part of a result that does not change during a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from device_bench.devices.adb.device import AdbDevice

_PROPERTY = re.compile(r"^\[([^\]]+)\]: \[(.*)\]$", re.MULTILINE)
_CPU_FILE = re.compile(r"/cpu(\d+)/cpufreq/(\w+):(.+)$", re.MULTILINE)
_READ_SCRIPT = """
getprop
grep -sH . /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq
grep -sH . /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor
ls -d /sys/devices/system/cpu/cpu[0-9]*
grep -s MemTotal /proc/meminfo
true
"""


@dataclass(frozen=True)
class CoreCluster:
    """Processor cores of one kind.

    Attributes:
        cores: their number.
        max_mhz: None: not reported.
        governor: policy that sets their frequency; None: not reported.
    """

    cores: int
    max_mhz: int | None
    governor: str | None


@dataclass(frozen=True)
class DeviceInfo:
    """Description of a device.

    Attributes:
        soc: the chip, as far as the device reports it.
        build: fingerprint of the installed Android.
        clusters: slow cores first.
    """

    serial: str
    model: str
    soc: str
    android: str
    api: str
    build: str
    abi: str
    clusters: tuple[CoreCluster, ...]
    memory_bytes: int | None

    @property
    def cores(self) -> int:
        """Number of cores of all clusters."""
        return sum(cluster.cores for cluster in self.clusters)

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        return {**asdict(self), "clusters": [asdict(cluster) for cluster in self.clusters]}


def read_device_info(device: AdbDevice) -> DeviceInfo:
    """Read the description of a connected device.

    Raises:
        UserError: it is disconnected.
    """
    return parse_device_info(device.serial, device.script(_READ_SCRIPT).out)


def parse_device_info(serial: str, text: str) -> DeviceInfo:
    """Parse properties, files of `/sys` as `path:value`, and `/proc/meminfo`."""
    properties = {name: value for name, value in _PROPERTY.findall(text) if value}
    maker = properties.get("ro.product.manufacturer", "")
    model = properties.get("ro.product.model", serial)
    memory = re.search(r"MemTotal:\s+(\d+) kB", text)
    return DeviceInfo(
        serial=serial,
        model=model if model.lower().startswith(maker.lower()) else f"{maker} {model}",
        soc=_soc_name(properties),
        android=properties.get("ro.build.version.release", "unknown"),
        api=properties.get("ro.build.version.sdk", "unknown"),
        build=properties.get("ro.build.fingerprint", "unknown"),
        abi=properties.get("ro.product.cpu.abi", "unknown"),
        clusters=_clusters(text),
        memory_bytes=int(memory[1]) * 1024 if memory else None,
    )


def parse_cpu_files(text: str) -> dict[str, dict[int, str]]:
    """Parse files of `cpufreq`: {file name: {core: content}}."""
    files: dict[str, dict[int, str]] = {}
    for core, name, value in _CPU_FILE.findall(text):
        files.setdefault(name, {})[int(core)] = value.strip()
    return files


def _soc_name(properties: Mapping[str, str]) -> str:
    current = [properties.get(f"ro.soc.{name}", "") for name in ("manufacturer", "model")]
    older = [properties.get(name, "") for name in ("ro.board.platform", "ro.hardware")]
    return " ".join(filter(None, current)) or " ".join(filter(None, older)) or "unknown"


def _clusters(text: str) -> tuple[CoreCluster, ...]:
    files = parse_cpu_files(text)
    frequencies, governors = files.get("cpuinfo_max_freq", {}), files.get("scaling_governor", {})
    cores = {int(number) for number in re.findall(r"/cpu(\d+)\s*$", text, re.MULTILINE)}
    counts: dict[tuple[int | None, str | None], int] = {}
    for core in sorted(cores | frequencies.keys()):
        kilohertz = frequencies.get(core, "")
        kind = (int(kilohertz) // 1000 if kilohertz.isdigit() else None, governors.get(core))
        counts[kind] = counts.get(kind, 0) + 1
    clusters = [CoreCluster(count, mhz, governor) for (mhz, governor), count in counts.items()]
    return tuple(sorted(clusters, key=lambda cluster: cluster.max_mhz or 0))
