"""Latency, memory and energy of artifacts on this machine, Android devices and browsers.

`benchmark` is the Python interface; the command is `lvt-bench`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lvt  # noqa: F401  # switches telemetry off before any runtime loads
from lvt.support.lazy import lazy_attributes

if TYPE_CHECKING:
    from device_bench.api import benchmark

__all__ = ["benchmark"]

__getattr__ = lazy_attributes(__name__, {"benchmark": "device_bench.api"})
