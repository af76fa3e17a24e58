"""Everything that is measured of artifacts on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.measure.backends import BenchTarget
from device_bench.measure.cold_start import ColdStart, measure
from device_bench.measure.interleaved import Tick, TimedSession, time_interleaved
from device_bench.measure.predict_sample import answer_to
from device_bench.measure.preset import Protocol
from device_bench.measure.sensors import Conditions
from device_bench.measure.statistics import Interval, Samples, Summary
from device_bench.measure.warmup import WarmUp
from device_bench.results.sample_prediction import SamplePrediction
from export.session import Session
from lvt.data.images import packaged_photos, read_image

_STAGE_RUNS = 15
"""Timed runs of pre- and post-processing, which vary less than inference."""


@dataclass(frozen=True)
class Measurement:
    """Everything measured of one contestant.

    Attributes:
        arena_bytes: memory planned for activations; None where the runtime does not tell.
        warmup: what was run before, untimed.
        samples_ms: steady-state inferences in order.
        ratio: how many times faster than the first contestant; None for the first.
        preprocess_ms: median time from decoded picture to network input; None: not measured.
        postprocess_ms: median time from outputs to classes or labels; None for a backbone, or not
            measured.
        joules: of the processor's packages, an inference; None where the machine does not tell.
        conditions: the machine during the run; empty where it does not tell.
        answer: what it says of the sample picture; None where that says nothing of the file.
        reasons: why it is not valid; empty if it is.
        device: what it ran on, like `device_bench.measure.environment`; None: this machine.
        parity: of the outputs while it was timed; None: not measured.
    """

    contestant: BenchTarget
    cold: ColdStart
    arena_bytes: int | None
    warmup: WarmUp
    samples_ms: Samples
    summary: Summary
    ratio: Interval | None
    preprocess_ms: float | None
    postprocess_ms: float | None
    joules: float | None
    conditions: tuple[Conditions, ...]
    answer: SamplePrediction | None
    reasons: tuple[str, ...]
    device: Mapping[str, Any] | None = None
    parity: Mapping[str, Any] | None = None

    @property
    def valid(self) -> bool:
        """Whether the protocol was met on a quiet machine."""
        return not self.reasons

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the graph that was run."""
        which = "reference" if self.contestant.backend == "torch" else "artifact"
        return int(self.contestant.artifact.manifest["macs"][which])

    @property
    def gmacs_per_second(self) -> float:
        """Multiply-accumulates a second at the median, in 1e9."""
        return self.macs / 1e6 / self.summary.median.value


def run_benchmark(
    contestants: list[BenchTarget],
    *,
    threads: int,
    runs: int,
    seconds: float,
    rule: Protocol,
    sample: Path | None = None,
    tick: Tick = lambda _step, _share: None,
) -> list[Measurement]:
    """Times the contestants round by round, one inference each per round.

    Args:
        contestants: at least one.
        threads: for every runtime.
        runs: least number of rounds.
        seconds: least time each contestant's inferences take together.
        rule: what validity is judged by.
        sample: the picture to answer; without, a packaged photo. Timing takes that photo always.
        tick: told about progress.
    """
    load_before = os.getloadavg()[0]
    picture = read_image(packaged_photos()[0])
    shown = picture if sample is None else read_image(sample)
    cold = []
    for entry in contestants:
        tick(f"cold start of {entry.label}", 0.0)
        cold.append(measure(entry, threads))
    inputs = [entry.artifact.preprocessing(picture) for entry in contestants]
    sessions = [entry.open(threads) for entry in contestants]
    entrants = [
        TimedSession(entry.label, session, image)
        for entry, session, image in zip(contestants, sessions, inputs, strict=True)
    ]
    timings = time_interleaved(
        entrants,
        threads=threads,
        runs=runs,
        seconds=seconds,
        rule=rule,
        load_before=load_before,
        tick=tick,
    )
    tick("pre- and post-processing, answers", 1.0)
    measurements = []
    for index, (entry, timing) in enumerate(zip(contestants, timings, strict=True)):
        before, after = _stages(entry, sessions[index], picture)
        measurements.append(
            Measurement(
                contestant=entry,
                cold=cold[index],
                arena_bytes=entry.arena_bytes,
                warmup=timing.warmup,
                samples_ms=timing.samples_ms,
                summary=timing.summary,
                ratio=timing.ratio,
                preprocess_ms=before,
                postprocess_ms=after,
                joules=timing.joules,
                conditions=timing.conditions,
                answer=None if entry.caveat else answer_to(entry.artifact, sessions[index], shown),
                reasons=(*timing.reasons, *([entry.caveat] if entry.caveat else [])),
            )
        )
    return measurements


def _median_ms(action: Callable[[], Any]) -> float:
    times = []
    for _ in range(_STAGE_RUNS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def _stages(
    entry: BenchTarget, session: Session, picture: NDArray[np.uint8]
) -> tuple[float, float | None]:
    """Median milliseconds of pre- and post-processing of a real photo."""
    artifact = entry.artifact
    before = _median_ms(lambda: artifact.preprocessing(picture))
    if artifact.spec.task == "backbone":
        return before, None
    outputs = session.run(artifact.preprocessing(picture))
    return before, _median_ms(
        lambda: artifact.decode(outputs, (picture.shape[0], picture.shape[1]))
    )
