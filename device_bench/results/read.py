"""Result files, read back: what tables, reports and comparisons are made from.

Imports no model and no runtime, so that a file can be read where nothing could be measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from device_bench.measure.preset import Protocol
from device_bench.measure.sensors import Conditions
from device_bench.measure.statistics import Interval, Samples, Summary, finite
from device_bench.measure.warmup import WarmUp
from device_bench.profile.stored import StoredProfile
from device_bench.results.sample_prediction import SamplePrediction
from lvt.errors import UserError
from lvt.support.validation import parse_json

SCHEMA = 2
"""Raised when a reader of the old file would misread a new one. 2: p90 has an interval.

Energy, conditions, answer and profile came later, and may be absent."""


T = TypeVar("T")


@dataclass(frozen=True)
class Accuracy:
    """What the manifests knew of a model's accuracy.

    Attributes:
        figures: name to percent, the main one first.
        images: how many pictures they come from.
        measured_on: "this file" or "the float model".
    """

    figures: Mapping[str, float]
    images: int
    measured_on: str


@dataclass(frozen=True, eq=False)
class Result:
    """Everything a result file says of one thing that was timed.

    Attributes:
        label: how it is called in tables.
        artifact: name of the model file, without its folder.
        input_shape: as the file takes it.
        macs: multiply-accumulates of the graph that was run.
        reasons: why it is not valid; empty if it is.
        load_ms, first_ms: opening the model and the first inference; None: not told.
        memory_bytes: growth of a fresh process's peak resident memory; None: not measured.
        arena_bytes: memory planned for activations; None: the runtime does not tell.
        speedup: how many times faster than the first of the file; None for the first.
        preprocess_ms: None: not measured.
        postprocess_ms: None for a backbone, or not measured.
        accuracy: None: not measured.
        device: what it ran on; None: what the file's environment says.
        parity: of its outputs while it was timed; None: not measured.
        joules: energy of an inference; None: not measured.
        conditions: machine or device during the run, in order; empty: not measured.
        answer: to the sample picture; None: not asked.
        profile: None: not profiled.
    """

    label: str
    artifact: str
    backend: str
    task: str
    precision: str
    input_shape: tuple[int, ...]
    sha256: str
    file_bytes: int
    macs: int
    parameters: int
    reasons: tuple[str, ...]
    load_ms: float | None
    first_ms: float | None
    memory_bytes: int | None
    arena_bytes: int | None
    warmup: WarmUp
    latency: Summary
    speedup: Interval | None
    preprocess_ms: float | None
    postprocess_ms: float | None
    accuracy: Accuracy | None
    joules: float | None
    conditions: tuple[Conditions, ...]
    answer: SamplePrediction | None
    profile: StoredProfile | None
    samples_ms: Samples
    device: Mapping[str, Any] | None
    parity: Mapping[str, Any] | None

    @property
    def valid(self) -> bool:
        """Whether the protocol was met on a quiet machine."""
        return not self.reasons

    @property
    def gmacs_per_second(self) -> float:
        """Multiply-accumulates a second at the median, in 1e9."""
        return self.macs / 1e6 / self.latency.median.value


@dataclass(frozen=True, eq=False)
class ResultFile:
    """One run of `lvt-bench`.

    Attributes:
        created: when, ISO 8601 in UTC.
        environment: machine and versions, see `device_bench.measure.environment`.
        results: in the order they were named.
    """

    created: str
    environment: Mapping[str, Any]
    protocol: Protocol
    threads: int
    results: tuple[Result, ...]


def read_results(path: Path) -> ResultFile:
    """Reads a file that `lvt-bench --json` wrote.

    Raises:
        UserError: there is none, or it is something else, damaged, or of another schema.
    """
    try:
        data = parse_json(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a result file of lvt-bench: {error}") from error
    return parse_results(data, str(path))


def parse_results(data: Any, name: str) -> ResultFile:
    """A result file's content; `name` is for messages.

    Raises:
        UserError: it is something else, incomplete, or of another schema.
    """
    if not isinstance(data, dict) or not {"schema", "results"} <= data.keys():
        raise UserError(f"{name} is not a result file: write one with lvt-bench --json")
    if data.get("tools") and not data["results"]:
        raise UserError(f"{name} holds only what tools said, without the samples that tables need")
    if data["schema"] != SCHEMA:
        raise UserError(
            f"{name} has schema {data['schema']}; this version reads {SCHEMA}: measure again"
        )
    try:
        rule = data["protocol"]
        results = tuple(_result(entry) for entry in data["results"])
        if not results:
            raise ValueError("no results")
        return ResultFile(
            created=str(data["created"]),
            environment=dict(data["environment"]),
            protocol=Protocol(str(rule["name"]), int(rule["runs"]), finite(rule["seconds"])),
            threads=int(rule["threads"]),
            results=results,
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{name} is incomplete or damaged: {error!r}") from error


def _result(entry: Mapping[str, Any]) -> Result:
    cold, warmup = entry["cold_start"], entry["warmup"]
    return Result(
        label=str(entry["label"]),
        artifact=Path(entry["artifact"]).name,
        backend=str(entry["backend"]),
        task=str(entry["task"]),
        precision=str(entry["precision"]),
        input_shape=tuple(int(side) for side in entry["input"]),
        sha256=str(entry["sha256"]),
        file_bytes=int(entry["file_bytes"]),
        macs=int(entry["macs"]),
        parameters=int(entry["parameters"]),
        reasons=tuple(str(reason) for reason in entry["reasons"]),
        load_ms=_if_known(finite, cold["load_ms"]),
        first_ms=_if_known(finite, cold["first_ms"]),
        memory_bytes=_if_known(int, cold["memory_bytes"]),
        arena_bytes=_if_known(int, entry["arena_bytes"]),
        warmup=WarmUp(int(warmup["runs"]), finite(warmup["seconds"]), bool(warmup["settled"])),
        latency=Summary.from_dict(entry["latency_ms"]),
        speedup=_if_known(Interval.from_dict, entry["speedup_over_first"]),
        preprocess_ms=_if_known(finite, entry["preprocess_ms"]),
        postprocess_ms=_if_known(finite, entry["postprocess_ms"]),
        accuracy=_if_known(_accuracy, entry["accuracy"]),
        joules=_if_known(finite, entry.get("joules_per_inference")),
        conditions=tuple(Conditions.from_dict(each) for each in entry.get("conditions", ())),
        answer=_if_known(SamplePrediction.from_dict, entry.get("answer")),
        profile=_if_known(StoredProfile.from_dict, entry.get("profile")),
        samples_ms=_samples(entry["samples_ms"]),
        device=_if_known(dict, entry.get("device")),  # older files have neither
        parity=_if_known(dict, entry.get("parity")),
    )


def _if_known(read: Callable[[Any], T], stored: Any) -> T | None:
    """A value; None where it was not measured."""
    return None if stored is None else read(stored)


def _accuracy(stored: Mapping[str, Any]) -> Accuracy:
    figures = {str(name): finite(value) for name, value in stored["figures"].items()}
    return Accuracy(figures, int(stored["images"]), str(stored["measured_on"]))


def _samples(stored: Any) -> Samples:
    samples = np.array(stored, np.float64)
    if samples.ndim != 1 or not len(samples) or not (np.isfinite(samples) & (samples > 0)).all():
        raise ValueError("samples_ms is no series of latencies")
    return samples
