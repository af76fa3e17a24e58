"""Load time, first inference and peak memory, in a fresh process that does nothing else.

Run as a module by `measure`; in the parent, caches and allocators are warm and shared.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from device_bench.measure.backends import BenchTarget, contestant
from lvt.data.images import packaged_photos, read_image
from lvt.errors import UserError

_WARM_RUNS = 3
"""Inferences after the first, so that memory arenas reach their full size."""


@dataclass(frozen=True)
class ColdStart:
    """What a process that opens the model pays.

    Attributes:
        load_ms: opening the session.
        first_ms: the first inference.
        memory_bytes: growth of the process's peak resident memory over what it had with the
            runtime imported and nothing loaded; None: not measured.
    """

    load_ms: float
    first_ms: float
    memory_bytes: int | None


def measure(entry: BenchTarget, threads: int) -> ColdStart:
    """Measures in a child process.

    Raises:
        UserError: the child failed; its last line is repeated.
    """
    arguments = [str(entry.artifact.path), entry.backend, str(threads)]
    child = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "device_bench.measure.cold_start",
            *arguments,
        ],  # not from the cwd
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        last = (child.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{entry.label} does not run: {last}")
    return ColdStart(**json.loads(child.stdout.splitlines()[-1]))


def _peak_bytes() -> int:
    """Peak resident memory of this process."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # no procfs: Windows knows its peak, macOS only the present value
        info = psutil.Process().memory_info()
        return int(getattr(info, "peak_wset", info.rss))
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _reset_peak() -> int:
    """Forgets the peak so far, where Linux allows it, and returns the present one."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _main(path: str, backend: str, threads: str) -> None:
    entry = contestant(Path(path), backend)
    image = entry.artifact.preprocessing(read_image(packaged_photos()[0]))
    if backend == "torch":
        import torch  # noqa: F401 (its memory is the runtime's, not the model's)
    else:
        from export.targets import load_target

        load_target(entry.artifact.target)
    before = _reset_peak()
    start = time.perf_counter()
    session = entry.open(int(threads))
    loaded = time.perf_counter()
    session.run(image)
    first = time.perf_counter()
    for _ in range(_WARM_RUNS):
        session.run(image)
    result = ColdStart((loaded - start) * 1e3, (first - loaded) * 1e3, _peak_bytes() - before)
    sys.stdout.write(json.dumps(asdict(result)) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
