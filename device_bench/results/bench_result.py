"""The result of a benchmark: one model on one backend of this machine, a device or a browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from device_bench.measure.sensors import SensorReading
from device_bench.measure.statistics import (
    Interval,
    LatencySamples,
    LatencySummary,
    finite_number,
    latency_samples,
    read_optional,
)
from device_bench.measure.warmup import WarmUp
from device_bench.results.operator_profile import OperatorProfile
from device_bench.results.sample_prediction import SamplePrediction
from device_bench.results.stage_summary import StageSummary
from export.placement import Placement

TORCH = "torch"
"""The backend of the PyTorch reference."""


@dataclass(frozen=True)
class ModelFile:
    """The model file of a result, as its manifest describes it.

    Attributes:
        path: as given to the benchmark.
        input_shape: in the layout of the file.
        macs: multiply-accumulates of the graph that ran.
    """

    path: str
    task: str
    precision: str
    input_shape: tuple[int, ...]
    sha256: str
    file_bytes: int
    macs: int
    parameters: int

    @property
    def name(self) -> str:
        """The file name without its folder."""
        return Path(self.path).name

    @classmethod
    def from_manifest(
        cls,
        path: Path,
        manifest: Mapping[str, Any],
        *,
        graph: Literal["artifact", "reference"] = "artifact",
    ) -> Self:
        """Describe an artifact; `graph` is the one that ran, and its operations are counted."""
        return cls(
            path=str(path),
            task=manifest["task"],
            precision=manifest["precision"],
            input_shape=tuple(manifest["inputs"][0]["shape"]),
            sha256=manifest["file"]["sha256"],
            file_bytes=manifest["file"]["bytes"],
            macs=int(manifest["macs"][graph]),
            parameters=manifest["parameters"],
        )


@dataclass(frozen=True)
class ColdStart:
    """Cost of opening a model in a fresh process.

    Attributes:
        load_ms: opening the model; None: not reported.
        first_ms: the first inference; None: not reported.
        memory_bytes: growth of the process's peak resident memory over its value with the runtime
            imported and no model loaded; None: not measured.
    """

    load_ms: float | None
    first_ms: float | None
    memory_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged.
        """
        return cls(
            load_ms=read_optional(finite_number, stored["load_ms"]),
            first_ms=read_optional(finite_number, stored["first_ms"]),
            memory_bytes=read_optional(int, stored["memory_bytes"]),
        )


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of a model, from a manifest.

    Attributes:
        figures: metric to percent, the main metric first.
        images: number of evaluated images.
        measured_on: "this file" or "the float model".
    """

    figures: Mapping[str, float]
    images: int
    measured_on: str

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        return {
            "images": self.images,
            "figures": dict(self.figures),
            "measured_on": self.measured_on,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged.
        """
        figures = {str(name): finite_number(value) for name, value in stored["figures"].items()}
        return cls(figures, int(stored["images"]), str(stored["measured_on"]))


@dataclass(frozen=True, eq=False)
class BenchResult:
    """Everything measured of one model on one backend.

    Attributes:
        label: name in tables.
        backend: the runtime, with the device it ran on if that is not this machine.
        model: the model file.
        cold_start: load time, first inference and memory.
        warmup: the untimed inferences before the timing.
        samples_ms: timed inferences in order.
        latency: summary of the samples.
        validity_issues: reasons why the result is not valid; empty if it is.
        speedup: over the first result of the report; None for that one.
        accuracy: of the model; None: not measured.
        arena_bytes: memory that the file plans for activations; None: not reported.
        preprocess_ms: from decoded picture to network input; None: not measured.
        postprocess_ms: from outputs to classes or labels; None for a backbone, or not measured.
        joules: energy of one inference; None: not measured.
        readings: frequency and temperature during the run; empty: not measured.
        prediction: for the sample picture; None: not made.
        profile: time of each operator; None: not profiled.
        stages: of a panoptic model in parts; None for other models.
        placement: operators on the accelerator and outside; None: not known for this run.
        device: description of the device that ran it, JSON values; None: this machine.
        parity: of the outputs on that device with a reference, JSON values; None: not measured.
    """

    label: str
    backend: str
    model: ModelFile
    cold_start: ColdStart
    warmup: WarmUp
    samples_ms: LatencySamples
    latency: LatencySummary
    validity_issues: tuple[str, ...]
    speedup: Interval | None = None
    accuracy: Accuracy | None = None
    arena_bytes: int | None = None
    preprocess_ms: float | None = None
    postprocess_ms: float | None = None
    joules: float | None = None
    readings: tuple[SensorReading, ...] = ()
    prediction: SamplePrediction | None = None
    profile: OperatorProfile | None = None
    stages: StageSummary | None = None
    placement: Placement | None = None
    device: Mapping[str, Any] | None = None
    parity: Mapping[str, Any] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BenchResult):
            return NotImplemented
        mine, theirs = (
            [getattr(result, field.name) for field in fields(result)] for result in (self, other)
        )
        return all(
            np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
            for a, b in zip(mine, theirs, strict=True)
        )

    @property
    def valid(self) -> bool:
        """Whether the preset's rules were met on a quiet machine."""
        return not self.validity_issues

    @property
    def gmacs_per_second(self) -> float:
        """1e9 multiply-accumulates per second at the median."""
        return self.model.macs / 1e6 / self.latency.median.value

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files."""
        model = self.model
        return {
            "label": self.label,
            "artifact": model.path,
            "backend": self.backend,
            "task": model.task,
            "precision": model.precision,
            "input": list(model.input_shape),
            "sha256": model.sha256,
            "file_bytes": model.file_bytes,
            "macs": model.macs,
            "parameters": model.parameters,
            "valid": self.valid,
            "reasons": list(self.validity_issues),
            "accuracy": None if self.accuracy is None else self.accuracy.to_dict(),
            "cold_start": self.cold_start.to_dict(),
            "arena_bytes": self.arena_bytes,
            "warmup": self.warmup.to_dict(),
            "latency_ms": self.latency.to_dict(),
            "speedup_over_first": None if self.speedup is None else self.speedup.to_dict(),
            "gmacs_per_second": self.gmacs_per_second,
            "preprocess_ms": self.preprocess_ms,
            "postprocess_ms": self.postprocess_ms,
            "joules_per_inference": self.joules,
            "conditions": [reading.to_dict() for reading in self.readings],
            "answer": None if self.prediction is None else self.prediction.to_dict(),
            "samples_ms": self.samples_ms.tolist(),
            "profile": None if self.profile is None else self.profile.to_dict(),
            "stages": None if self.stages is None else self.stages.to_dict(),
            "placement": None if self.placement is None else self.placement.to_dict(),
            "device": None if self.device is None else dict(self.device),
            "parity": None if self.parity is None else dict(self.parity),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            LookupError, TypeError, ValueError, AttributeError, OverflowError: the data is damaged.
        """
        return cls(
            label=str(stored["label"]),
            backend=str(stored["backend"]),
            model=ModelFile(
                path=str(stored["artifact"]),
                task=str(stored["task"]),
                precision=str(stored["precision"]),
                input_shape=tuple(int(side) for side in stored["input"]),
                sha256=str(stored["sha256"]),
                file_bytes=int(stored["file_bytes"]),
                macs=int(stored["macs"]),
                parameters=int(stored["parameters"]),
            ),
            cold_start=ColdStart.from_dict(stored["cold_start"]),
            warmup=WarmUp.from_dict(stored["warmup"]),
            samples_ms=latency_samples(stored["samples_ms"]),
            latency=LatencySummary.from_dict(stored["latency_ms"]),
            validity_issues=tuple(str(issue) for issue in stored["reasons"]),
            speedup=read_optional(Interval.from_dict, stored["speedup_over_first"]),
            accuracy=read_optional(Accuracy.from_dict, stored["accuracy"]),
            arena_bytes=read_optional(int, stored["arena_bytes"]),
            preprocess_ms=read_optional(finite_number, stored["preprocess_ms"]),
            postprocess_ms=read_optional(finite_number, stored["postprocess_ms"]),
            # Files of older versions lack the following fields.
            joules=read_optional(finite_number, stored.get("joules_per_inference")),
            readings=tuple(map(SensorReading.from_dict, stored.get("conditions", ()))),
            prediction=read_optional(SamplePrediction.from_dict, stored.get("answer")),
            profile=read_optional(OperatorProfile.from_dict, stored.get("profile")),
            stages=read_optional(StageSummary.from_dict, stored.get("stages")),
            placement=read_optional(Placement.from_dict, stored.get("placement")),
            device=read_optional(dict, stored.get("device")),
            parity=read_optional(dict, stored.get("parity")),
        )
