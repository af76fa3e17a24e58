"""Waits for the load of the step before to fade, so that it does not count as other load.

`lvt-bench` marks results as not valid if the load average of the last minute is too high.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from device_bench.measure.validity import is_busy

LONGEST_WAIT = 300.0
"""Seconds after which a step runs anyway; `lvt-bench` then says that the machine was busy."""
_PAUSE = 5.0


def timed_threads(command: Sequence[str]) -> int | None:
    """The threads of a command that measures latency; None for other commands."""
    if command[0] != "lvt-bench":
        return None
    return int(command[command.index("--threads") + 1]) if "--threads" in command else 1


def wait_until_quiet(
    threads: int,
    *,
    load: Callable[[], float] = lambda: os.getloadavg()[0],
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Wait until a benchmark with this number of threads would be valid.

    Args:
        threads: of the benchmark.
        load: returns the load average of the last minute.
        sleep: waits for a number of seconds.

    Returns:
        The seconds waited, at most `LONGEST_WAIT`.
    """
    cores, waited = os.cpu_count() or 1, 0.0
    while is_busy(load(), threads, cores) and waited < LONGEST_WAIT:
        sleep(_PAUSE)
        waited += _PAUSE
    return waited
