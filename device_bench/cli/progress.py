"""Shows the progress of a benchmark on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lvt.support.terminal import Terminal

if TYPE_CHECKING:
    from device_bench.measure.config import BenchProgress


@contextmanager
def progress_bar(terminal: Terminal) -> Iterator[BenchProgress]:
    """A progress bar, as the callback that updates it."""
    with terminal.progress() as bar:
        task = bar.add_task("starting", total=1.0, detail="")

        def update(step: str, share: float) -> None:
            bar.update(task, description=step, completed=share)

        yield update
