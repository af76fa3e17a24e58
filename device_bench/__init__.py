"""Latency, memory and energy of artifacts on this machine, Android devices and browsers.

`benchmark` is the Python interface; the command is `lvt-bench`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lvt  # noqa: F401  # switches telemetry off before any runtime loads

if TYPE_CHECKING:
    from device_bench.api import benchmark

__all__ = ["benchmark"]


def __getattr__(name: str) -> Any:
    """Import `benchmark` on first use: it loads PyTorch and the runtimes."""
    if name == "benchmark":
        from device_bench.api import benchmark

        return benchmark
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
