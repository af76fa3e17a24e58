"""Types that runs in the app and runs of a tool have in common."""

from __future__ import annotations

from dataclasses import dataclass

from device_bench.measure.statistics import LatencySamples
from device_bench.measure.warmup import WarmUp
from device_bench.results.stage_summary import StageSummary
from export.placement import Placement


@dataclass(frozen=True, eq=False)
class TimedRun:
    """Raw samples of one model on a device.

    Attributes:
        load_ms: opening the model; None: not reported.
        first_ms: the first inference; None: not reported.
        warmup: untimed inferences after it.
        samples_ms: timed inferences in order.
        version: of the runtime; None: not reported.
        accelerator: the first choice for operators (cpu, xnnpack, nnapi, gpu); None: not reported.
        stages: of a panoptic model in parts; None: a whole model, or not reported.
        placement: operators on the accelerator and outside; None: the runtime does not report it.
        issues: why the result is not valid, as the runner itself observed; empty if it is.
    """

    load_ms: float | None
    first_ms: float | None
    warmup: WarmUp
    samples_ms: LatencySamples
    version: str | None
    accelerator: str | None
    stages: StageSummary | None = None
    placement: Placement | None = None
    issues: tuple[str, ...] = ()


class StopError(Exception):
    """The user has interrupted the benchmark; the run on the device must end too."""
