"""Benchmarks artifacts on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_bench.measure.backends import BenchTarget
from device_bench.measure.cold_start import measure_cold_start
from device_bench.measure.config import BenchConfig, BenchProgress, no_progress
from device_bench.measure.interleaved import SessionTiming, TimedSession, time_interleaved
from device_bench.measure.predict_sample import predict_sample
from device_bench.results.accuracy import known_accuracy
from device_bench.results.bench_result import TORCH, Accuracy, BenchResult, ColdStart, ModelFile
from device_bench.results.stage_summary import StageSummary
from export.placement import Placement
from export.session import Session
from lvt.data.images import packaged_photos, read_image

_PROCESSING_RUNS = 15
"""Timed runs of pre- and post-processing, which vary less than inference."""

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""


def run_benchmark(
    targets: list[BenchTarget],
    config: BenchConfig,
    *,
    sample: Path | None = None,
    progress: BenchProgress = no_progress,
) -> list[BenchResult]:
    """Benchmark targets in interleaved rounds.

    Args:
        targets: at least one; the others are compared with the first.
        config: how to measure.
        sample: picture for the predictions that reports show, by default a packaged photo. The
            timing always uses that photo.
        progress: called with the current step.

    Raises:
        UserError: the sample cannot be read, or a model does not run.
    """
    load_before = os.getloadavg()[0]
    picture = read_image(packaged_photos()[0])
    sample_picture = picture if sample is None else read_image(sample)
    cold_starts = []
    for target in targets:
        progress(f"cold start of {target.label}", 0.0)
        cold_starts.append(measure_cold_start(target, config.threads))
    sessions = [
        TimedSession(
            target.label,
            target.open_session(config.threads),
            target.artifact.preprocessing(picture),
        )
        for target in targets
    ]
    timings = time_interleaved(sessions, config, progress, load_before=load_before)
    progress("pre- and post-processing, predictions", 1.0)
    accuracies = known_accuracy([target.artifact.manifest for target in targets])
    return [
        _make_result(target, session.session, cold_start, timing, accuracy, picture, sample_picture)
        for target, session, cold_start, timing, accuracy in zip(
            targets, sessions, cold_starts, timings, accuracies, strict=True
        )
    ]


def _make_result(
    target: BenchTarget,
    session: Session,
    cold_start: ColdStart,
    timing: SessionTiming,
    accuracy: Accuracy | None,
    picture: Picture,
    sample: Picture,
) -> BenchResult:
    """Combine the measurements of one target, and time its pre- and post-processing."""
    artifact, issue = target.artifact, target.validity_issue
    reference = target.backend == TORCH
    preprocess_ms, postprocess_ms = _processing_ms(target, session, picture)
    return BenchResult(
        label=target.label,
        backend=target.backend,
        model=ModelFile.from_manifest(
            artifact.path,
            artifact.manifest,
            graph="reference" if reference else "artifact",
        ),
        cold_start=cold_start,
        warmup=timing.warmup,
        samples_ms=timing.samples_ms,
        latency=timing.latency,
        speedup=timing.speedup,
        validity_issues=(*timing.validity_issues, *([issue] if issue else [])),
        # The accuracy and the predictions of random weights are not those of the artifact.
        accuracy=None if issue else accuracy,
        arena_bytes=target.arena_bytes,
        preprocess_ms=preprocess_ms,
        postprocess_ms=postprocess_ms,
        joules=timing.joules,
        readings=timing.readings,
        stages=StageSummary.of_runs(timing.stages),
        placement=None if reference else Placement.from_dict(artifact.manifest["placement"]),
        prediction=None if issue else predict_sample(artifact, session, sample),
    )


def _processing_ms(
    target: BenchTarget, session: Session, picture: Picture
) -> tuple[float, float | None]:
    """Median milliseconds of pre- and post-processing; a backbone has no post-processing."""
    artifact = target.artifact
    preprocess_ms = _median_ms(lambda: artifact.preprocessing(picture))
    if artifact.spec.task == "backbone":
        return preprocess_ms, None
    outputs = session.run(artifact.preprocessing(picture))
    size = (picture.shape[0], picture.shape[1])
    return preprocess_ms, _median_ms(lambda: artifact.decode(outputs, size))


def _median_ms(action: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(_PROCESSING_RUNS):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)) * 1e3
