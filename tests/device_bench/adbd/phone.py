"""Android's side of a fake device: its folders, its files in `/sys`, and its programs.

All programs are `programs.py` of this package under different names. Their output depends on
`state.json` at the device's root, which a test can change between two commands.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from device_bench.devices.adb.app_run import APP_FOLDER

PROGRAMS = ("am", "df", "dumpsys", "getprop", "logcat", "pidof", "pm", "settings")
_SCRIPT = Path(__file__).with_name("programs.py")
CORES = {0: 1704000, 1: 1704000, 2: 2370000, 3: 2914000}
"""Highest frequency of each core, in kHz."""
PROPERTIES = {
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 8",
    "ro.soc.manufacturer": "Google",
    "ro.soc.model": "Tensor G3",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.build.fingerprint": "google/shiba/shiba:14/UQ1A.240105.004/11206848:user/release-keys",
    "ro.product.cpu.abi": "arm64-v8a",
}
STATE: dict[str, Any] = {
    "properties": PROPERTIES,
    "installed": True,
    "free_kb": 10_000_000,
    "battery_tenths": [289],  # the next value at each reading, then always the last
    "thermal_status": 0,
    "status": 3,  # discharging
    "app": "works",
    "latency_ms": 5.0,
    "drift": 1.0,
    "crash_log": "",
    "app_log": "",
    "reply": {},
    "conditions": {"foreground": True, "thermal_before": 0, "thermal_after": 0},
}


def make_phone(root: Path, **changes: Any) -> Path:
    """Create a device's file system in a new folder; `changes` replace values of `STATE`."""
    for folder in ("bin", "proc", "data/local/tmp", APP_FOLDER.lstrip("/")):
        (root / folder).mkdir(parents=True)
    for folder in ("models", "bench"):
        (root / APP_FOLDER.lstrip("/") / folder).mkdir()
    for core, highest in CORES.items():
        files = root / "sys/devices/system/cpu" / f"cpu{core}" / "cpufreq"
        files.mkdir(parents=True)
        (files / "scaling_governor").write_text("sched_pixel\n")
        for name in ("cpuinfo_max_freq", "scaling_max_freq", "scaling_cur_freq"):
            (files / name).write_text(f"{highest}\n")
    battery = root / "sys/class/power_supply/battery"
    battery.mkdir(parents=True)
    (battery / "current_now").write_text("-500000\n")
    (battery / "temp").write_text("289\n")
    (battery / "voltage_now").write_text("4000000\n")
    (root / "proc/meminfo").write_text("MemTotal:        7742168 kB\n")
    for name in PROGRAMS:
        program = root / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -SE {_SCRIPT} {name} "$@"\n')
        program.chmod(0o755)
    change(root, **STATE | changes)
    return root


def change(root: Path, **changes: Any) -> None:
    """Change the output of a device's programs."""
    file = root / "state.json"
    state = json.loads(file.read_text()) if file.exists() else {}
    part = file.with_suffix(".part")
    part.write_text(json.dumps(state | changes))
    part.replace(file)
