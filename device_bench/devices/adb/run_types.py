"""What a run on a device gave, whoever ran it there: the app, or a runtime's own tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from device_bench.measure.statistics import Samples
from device_bench.measure.warmup import WarmUp


@dataclass(frozen=True)
class Job:
    """One file to time.

    Attributes:
        runs: least number of timed inferences.
        seconds: least time they take together.
    """

    runtime: str
    threads: int
    runs: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Timed:
    """Raw samples, and what was before them.

    Attributes:
        load_ms: opening the model; None where nobody tells.
        first_ms: the first inference; None where nobody tells.
        warmup: untimed inferences after it.
        samples_ms: in order.
        version: of the runtime; None where nobody tells.
        accelerator: what operators were offered to first (cpu, xnnpack, nnapi, gpu); None where
            nobody tells.
    """

    load_ms: float | None
    first_ms: float | None
    warmup: WarmUp
    samples_ms: Samples
    version: str | None
    accelerator: str | None


class StopError(Exception):
    """The user has ended everything; what runs on devices is to be ended too."""


class Tick(Protocol):
    """Told what is being done, and the share of the timed runs that is done."""

    def __call__(self, step: str, share: float = 0.0) -> None: ...
