"""What a result file holds; `device_bench.results.read` reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from device_bench.devices.adb.report import device_names, phone_entry, phone_environment, tool_entry
from device_bench.devices.adb.run_types import Timed
from device_bench.devices.adb.runner import PhoneRun
from device_bench.measure.environment import describe
from device_bench.measure.host import Measurement
from device_bench.measure.preset import Protocol
from device_bench.measure.statistics import CONFIDENCE
from device_bench.results.accuracy import known_figures
from device_bench.results.read import SCHEMA
from lvt.support.files import write_text


def head(*, schema: int, threads: int, rule: Protocol) -> dict[str, Any]:
    """What every file of figures begins with: when, where and how they were measured."""
    return {
        "schema": schema,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": describe(),
        "protocol": {**asdict(rule), "threads": threads, "confidence": CONFIDENCE},
    }


def write_results(file: Path, data: dict[str, Any]) -> None:
    """Writes a file of figures, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    write_text(file, json.dumps(data, indent=1) + "\n")


def to_json(
    measurements: Sequence[Measurement],
    *,
    threads: int,
    rule: Protocol,
    phone_runs: Sequence[PhoneRun] = (),
) -> dict[str, Any]:
    """The result file: raw samples included, with a schema version; nothing is profiled yet.

    Its environment is that of the first measurement.
    """
    devices = list(dict.fromkeys(run.device for run in phone_runs))
    file = {
        **head(schema=SCHEMA, threads=threads, rule=rule),
        "results": _results(measurements, phone_runs),
    }
    if not measurements:
        file["environment"] = phone_environment(devices)
    elif measurements[0].device is not None:
        file["environment"] = dict(measurements[0].device)
    elif devices:
        file["environment"]["devices"] = phone_environment(devices)["processor"]
    names = device_names(devices)
    told = [
        tool_entry(run, run.timed, names[run.device.serial])
        for run in phone_runs
        if not isinstance(run.timed, Timed)
    ]
    return {**file, "tools": told} if told else file


def _results(
    measurements: Sequence[Measurement], phone_runs: Sequence[PhoneRun]
) -> list[dict[str, Any]]:
    """The host's first. A device's ratio is to the first of all, and not of interleaved runs."""
    on_phones = [(run, run.timed) for run in phone_runs if isinstance(run.timed, Timed)]
    names = device_names(list(dict.fromkeys(run.device for run in phone_runs)))
    manifests = [m.contestant.artifact.manifest for m in measurements]
    known = known_figures([*manifests, *(run.artifact.manifest for run, _ in on_phones)])
    series = [*(m.samples_ms for m in measurements), *(timed.samples_ms for _, timed in on_phones)]
    entries = [_entry(m, accuracy) for m, accuracy in zip(measurements, known, strict=False)]
    for (run, timed), accuracy in zip(on_phones, known[len(measurements) :], strict=True):
        first = series[0] if entries else None
        entries.append(phone_entry(run, timed, names[run.device.serial], accuracy, first))
    return entries


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
