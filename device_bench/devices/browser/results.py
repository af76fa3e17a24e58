"""Checks the timings that a browser measured, and converts them to results.

The browser owns the clock and sends every sample. Statistics and validity are computed here, with
the same code as for this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from device_bench.devices.browser.artifact import ServedArtifact
from device_bench.devices.browser.browser_info import BrowserInfo
from device_bench.devices.browser.errors import RequestError
from device_bench.measure.config import BenchConfig
from device_bench.measure.statistics import (
    LatencySamples,
    finite_number,
    read_optional,
    record_samples,
    speedup,
    summarise,
)
from device_bench.measure.validity import validity_issues
from device_bench.measure.warmup import WarmUp, warm_up
from device_bench.results.accuracy import known_accuracy
from device_bench.results.bench_result import BenchResult, ColdStart, ModelFile
from device_bench.results.stage_summary import StageSummary
from export.parity.compare import ParityReport

_MAX_SAMPLES = 500_000
_MAX_CLOCK_STEP = 0.05
"""Largest accepted step of the clock, relative to the median latency."""


@dataclass(frozen=True, eq=False)
class BrowserTiming:
    """Timing of one artifact in a browser.

    Attributes:
        falls_back: whether operators ran in WebAssembly beside the GPU; None without a GPU.
        stages: of a file in parts, medians over the timed runs; None for a whole file.
    """

    load_ms: float
    first_ms: float
    falls_back: bool | None
    warmup: WarmUp
    samples_ms: LatencySamples
    stages: StageSummary | None


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        RequestError: the body is something else.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError("the body is not JSON") from error
    if not isinstance(data, dict):
        raise RequestError("the body is not a JSON object")
    return data


def parse_timings(data: Mapping[str, Any], artifacts: int) -> list[BrowserTiming]:
    """Check and convert the timings of all artifacts, in order.

    Raises:
        RequestError: data is missing or damaged, or the warm-up did not follow the rule.
    """
    try:
        timings = [_parse_timing(entry) for entry in data["artifacts"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RequestError(f"the timings are invalid: {error!r}") from error
    if len(timings) != artifacts or len({len(timing.samples_ms) for timing in timings}) != 1:
        raise RequestError("the timings are not of interleaved rounds of all artifacts")
    return timings


def make_results(
    served: Sequence[ServedArtifact],
    timings: Sequence[BrowserTiming],
    parities: Sequence[ParityReport],
    browser: BrowserInfo,
    config: BenchConfig,
    *,
    hidden: bool,
) -> list[BenchResult]:
    """Convert the timings of one browser to results.

    Args:
        served: the artifacts.
        timings: of each artifact, from interleaved rounds.
        parities: of each artifact's outputs in this browser.
        browser: that ran them.
        config: the requested threads, runs and preset.
        hidden: whether the page was in the background during the run.

    Raises:
        RequestError: stages are missing for a file in parts, or exist for a whole file.
    """
    accuracies = known_accuracy([entry.artifact.manifest for entry in served])
    baseline = timings[0].samples_ms
    results = []
    for index, (entry, timing, parity) in enumerate(zip(served, timings, parities, strict=True)):
        artifact, samples = entry.artifact, timing.samples_ms
        if (timing.stages is None) != (artifact.host is None):
            raise RequestError("the timings are invalid: files in parts have stages, no others do")
        issues = _timing_issues(timing, browser, config)
        if hidden:
            issues.append("the page was in the background for a while")
        issues += [f"parity failed in the browser: {failure}" for failure in parity.failures]
        results.append(
            BenchResult(
                label=f"{artifact.path.name} ({browser.backend}, {browser.name})",
                backend=browser.backend,
                model=ModelFile.from_manifest(artifact.path, artifact.manifest),
                cold_start=ColdStart(timing.load_ms, timing.first_ms),
                warmup=timing.warmup,
                samples_ms=samples,
                latency=summarise(samples),
                validity_issues=tuple(issues),
                speedup=speedup(baseline, samples) if index else None,
                accuracy=accuracies[index],
                device=browser.to_dict() | {"falls_back": timing.falls_back},
                parity={"reference": entry.reference, **parity.to_dict()},
                stages=timing.stages,
            )
        )
    return results


def _parse_timing(entry: Mapping[str, Any]) -> BrowserTiming:
    falls_back = entry["falls_back"]
    return BrowserTiming(
        load_ms=finite_number(entry["load_ms"]),
        first_ms=finite_number(entry["first_ms"]),
        falls_back=None if falls_back is None else bool(falls_back),
        warmup=_check_warmup(_parse_samples(entry["warmup_ms"])),
        samples_ms=record_samples(_parse_samples(entry["samples_ms"])),
        stages=read_optional(StageSummary.from_dict, entry.get("stages")),
    )


def _parse_samples(values: Any) -> LatencySamples:
    samples = np.array(values, np.float64)
    if samples.ndim != 1 or not 0 < len(samples) <= _MAX_SAMPLES:
        raise ValueError("not a list of latencies")
    if not (np.isfinite(samples) & (samples > 0)).all():
        raise ValueError("latencies of 0: an inference takes less than a step of this clock")
    return samples


def _check_warmup(warmup_ms: LatencySamples) -> WarmUp:
    """Repeat the warm-up with Python's rule, which must end where the browser ended it.

    Raises:
        ValueError: it ends elsewhere.
    """
    samples = iter(warmup_ms / 1e3)
    try:
        warmup = warm_up(lambda: float(next(samples)))
    except StopIteration:
        raise ValueError("the warm-up ended before latency had settled") from None
    if warmup.runs != len(warmup_ms):
        raise ValueError("the warm-up continued after latency had settled")
    return warmup


def _timing_issues(timing: BrowserTiming, browser: BrowserInfo, config: BenchConfig) -> list[str]:
    """Reasons why a timing is not valid, without those of the page and of parity."""
    samples = timing.samples_ms
    issues = validity_issues(
        samples,
        config.preset,
        warmup=timing.warmup,
        load_before=None,
        busy_threads=browser.threads,
        cores=browser.cores,
    )
    if browser.provider == "wasm" and browser.threads != config.threads:
        reason = "has fewer cores" if browser.isolated else "cannot share memory (no https)"
        issues.append(f"{browser.threads} of {config.threads} threads: the page {reason}")
    if browser.clock_ms > _MAX_CLOCK_STEP * float(np.median(samples)):
        issues.append(f"the browser's clock moves in steps of {browser.clock_ms:.3g} ms")
    return issues
