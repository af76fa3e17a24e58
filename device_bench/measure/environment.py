"""Describes this machine and the installed versions, for result files."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("lvt-mobile", "torch", "onnxruntime", "onnx", "executorch", "ai-edge-litert", "numpy")


def host_environment() -> dict[str, Any]:
    """Hardware, system and package versions of this machine."""
    frequency = psutil.cpu_freq()
    return {
        "processor": _processor_name(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "max_mhz": frequency.max or None if frequency else None,
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _package_version(name) for name in _PACKAGES},
    }


def _processor_name() -> str:
    """The processor's marketing name where the system reports it, else its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _package_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
