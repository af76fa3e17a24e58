"""Hand-made result files, whose statistics have known answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from device_bench.statistics import summarise


def result(samples_ms: Sequence[float], name: str = "model.onnx", **changes: Any) -> dict[str, Any]:
    """One entry of a result file: a classifier in ONNX Runtime, valid."""
    entry = {
        "label": name,
        "artifact": f"somewhere/{name}",
        "backend": "onnxruntime",
        "task": "classification",
        "precision": "fp32",
        "input": [1, 3, 224, 224],
        "sha256": "0123456789abcdef" * 4,
        "file_bytes": 22_000_000,
        "macs": 890_000_000,
        "parameters": 5_521_844,
        "valid": True,
        "reasons": [],
        "accuracy": None,
        "cold_start": {"load_ms": 373.0, "first_ms": 138.0, "memory_bytes": 108_000_000},
        "arena_bytes": None,
        "warmup": {"runs": 39, "seconds": 1.2, "settled": True},
        "latency_ms": summarise(np.array(samples_ms)).to_dict(),
        "speedup_over_first": None,
        "gmacs_per_second": 31.3,
        "preprocess_ms": 3.1,
        "postprocess_ms": 0.8,
        "samples_ms": list(samples_ms),
    }
    return entry | changes


def result_file(*results: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A result file of the quick preset and one thread."""
    content = {
        "schema": 2,
        "created": "2026-11-22T18:53:34+00:00",
        "environment": {
            "processor": "Test processor",
            "cores": 2,
            "max_mhz": None,
            "packages": {"onnxruntime": "1.31.1", "executorch": None},
        },
        "protocol": {"name": "quick", "runs": 128, "seconds": 10.0, "threads": 1},
        "results": list(results),
    }
    return content | changes


def write(path: Path, content: Any) -> Path:
    """Writes JSON."""
    path.write_text(json.dumps(content), "utf-8")
    return path
