"""Hand-made result files, whose statistics have known answers."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from device_bench.measure.statistics import summarise


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


def jpeg(colour: str) -> str:
    """A small picture as result files hold it."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()


OVERLAY = {"original": jpeg("red"), "overlay": jpeg("blue"), "classes": []}
CLASSES = {
    "original": jpeg("red"),
    "overlay": None,
    "classes": [{"name": "tabby", "percent": 61.25}, {"name": "lynx", "percent": 30.5}],
}
CONDITIONS = [
    {"run": 0, "mhz": 3400.0, "celsius": 41.0},
    {"run": 150, "mhz": 2900.0, "celsius": None},
    {"run": 300, "mhz": 2100.0, "celsius": 88.0},
]
PROFILE = {
    "inferences": 20,
    "inference_ms": 20.0,
    "slowdown": 1.25,
    "between_ms": 2.0,
    "layout_ms": 3.0,
    "outside_ms": 0.5,
    "placement": {
        "accelerator": "XNNPACK",
        "partitions": 1,
        "fallback": "partial",
        "delegated": {"Conv": 3},
        "outside": {"TopK": 1},
        "remarks": [],
    },
    "remarks": ["whole microseconds"],
    "families": {"convolutions": 15.0, "layout changes": 3.0},
    "types": [{"type": "Conv", "family": "convolutions", "count": 3, "ms": 15.0}],
    "operators": [
        {"type": "Conv", "name": "conv_1", "module": "backbone.0", "delegated": True, "ms": 9.0},
        {"type": "TopK", "name": "top_1", "module": None, "delegated": False, "ms": 0.5},
    ],
}


PLACEMENT = {
    "accelerator": "XNNPACK",
    "partitions": 2,
    "fallback": "partial",
    "delegated": {"CONV_2D": 40},
    "outside": {"TOPK_V2": 1, "CAST": 2},
    "remarks": [],
}


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
