"""Load time, first inference and peak memory, measured in a fresh process.

In the parent process caches and allocators are warm and shared. `measure_cold_start` therefore
runs this module as a program in a child process.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

from device_bench.measure.backends import BenchTarget, open_bench_target
from device_bench.results.bench_result import TORCH, ColdStart
from lvt.data.images import packaged_photos, read_image
from lvt.errors import UserError

_WARM_RUNS = 3
"""Inferences after the first, so that memory arenas reach their full size."""


def measure_cold_start(target: BenchTarget, threads: int) -> ColdStart:
    """Measure in a child process.

    Raises:
        UserError: the child failed; the message ends with its last line of output.
    """
    module = "device_bench.measure.cold_start"
    arguments = [str(target.artifact.path), target.backend, str(threads)]
    child = subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],  # -P: import nothing from the cwd
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        last_line = (child.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{target.label} does not run: {last_line}")
    return ColdStart.from_dict(json.loads(child.stdout.splitlines()[-1]))


def _peak_bytes() -> int:
    """Peak resident memory of this process."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # no procfs: Windows reports a peak, macOS only the current value
        info = psutil.Process().memory_info()
        return int(getattr(info, "peak_wset", info.rss))
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _reset_peak() -> int:
    """Reset the peak to the current value, where Linux allows it, and return it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _main(path: str, backend: str, threads: str) -> None:
    target = open_bench_target(Path(path), backend)
    image = target.artifact.preprocessing(read_image(packaged_photos()[0]))
    # The memory of the imported runtime does not count.
    if backend == TORCH:
        import torch  # noqa: F401
    else:
        from export.targets import load_target

        load_target(target.artifact.target)
    memory_before = _reset_peak()
    start = time.perf_counter()
    session = target.open_session(int(threads))
    loaded = time.perf_counter()
    session.run(image)
    first = time.perf_counter()
    for _ in range(_WARM_RUNS):
        session.run(image)
    result = ColdStart(
        load_ms=(loaded - start) * 1e3,
        first_ms=(first - loaded) * 1e3,
        memory_bytes=_peak_bytes() - memory_before,
    )
    sys.stdout.write(json.dumps(result.to_dict()) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
