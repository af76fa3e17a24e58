"""What a result file holds; `device_bench.stored` reads it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from device_bench.accuracy import known_figures
from device_bench.environment import describe
from device_bench.host import Measurement
from device_bench.protocol import Protocol
from device_bench.statistics import CONFIDENCE
from device_bench.stored import SCHEMA


def head(*, schema: int, threads: int, rule: Protocol) -> dict[str, Any]:
    """What every file of figures begins with: when, where and how they were measured."""
    return {
        "schema": schema,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": describe(),
        "protocol": {**asdict(rule), "threads": threads, "confidence": CONFIDENCE},
    }


def to_json(measurements: list[Measurement], *, threads: int, rule: Protocol) -> dict[str, Any]:
    """The result file: raw samples included, with a schema version; nothing is profiled yet.

    Its environment is that of the first measurement.
    """
    accuracies = known_figures([m.contestant.artifact.manifest for m in measurements])
    begin = head(schema=SCHEMA, threads=threads, rule=rule)
    device = measurements[0].device
    return {
        **begin,
        "environment": begin["environment"] if device is None else dict(device),
        "results": [_entry(m, known) for m, known in zip(measurements, accuracies, strict=True)],
    }


def _entry(m: Measurement, accuracy: dict[str, Any] | None) -> dict[str, Any]:
    manifest = m.contestant.artifact.manifest
    return {
        "label": m.contestant.label,
        "artifact": str(m.contestant.artifact.path),
        "backend": m.contestant.backend,
        "task": manifest["task"],
        "precision": manifest["precision"],
        "input": manifest["inputs"][0]["shape"],
        "sha256": manifest["file"]["sha256"],
        "file_bytes": manifest["file"]["bytes"],
        "macs": m.macs,
        "parameters": manifest["parameters"],
        "valid": m.valid,
        "reasons": list(m.reasons),
        "accuracy": accuracy,
        "cold_start": asdict(m.cold),
        "arena_bytes": m.arena_bytes,
        "warmup": asdict(m.warmup),
        "latency_ms": m.summary.to_dict(),
        "speedup_over_first": None if m.ratio is None else asdict(m.ratio),
        "gmacs_per_second": m.gmacs_per_second,
        "preprocess_ms": m.preprocess_ms,
        "postprocess_ms": m.postprocess_ms,
        "joules_per_inference": m.joules,
        "conditions": [entry.to_dict() for entry in m.conditions],
        "answer": None if m.answer is None else m.answer.to_dict(),
        "samples_ms": [round(float(sample), 4) for sample in m.samples_ms],
        "profile": None,
        "device": m.device,
        "parity": m.parity,
    }
