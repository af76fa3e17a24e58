"""Accuracy of the timed models, taken from the manifests of their artifacts.

Nothing is evaluated here. `lvt-quantize` writes the accuracy of the quantized and of the float
model to the manifest of the quantized file; a float file takes its accuracy from there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from device_bench.results.bench_result import Accuracy

Manifest = Mapping[str, Any]


def known_accuracy(manifests: Sequence[Manifest]) -> list[Accuracy | None]:
    """The accuracy of each model; None where it was not measured.

    A file without its own accuracy takes the float model's from the manifest of a quantized file
    of the same checkpoint, task and input size.
    """
    float_models = {
        _model_key(manifest): _accuracy(manifest["accuracy"], "float", "the float model")
        for manifest in manifests
        if manifest["accuracy"] is not None and manifest["source"]["sha256"] is not None
    }
    return [
        _accuracy(manifest["accuracy"], "quantized", "this file")
        if manifest["accuracy"] is not None
        else float_models.get(_model_key(manifest))
        for manifest in manifests
    ]


def _model_key(manifest: Manifest) -> tuple[str, ...]:
    """Equal for artifacts of the same checkpoint and input size, whatever their target."""
    image = manifest["inputs"][0]
    size = [image["shape"][image["layout"].index(axis)] for axis in "HW"]
    source = manifest["source"]
    return (str(source["sha256"]), str(source["ema"]), str(size), json.dumps(manifest["model"]))


def _accuracy(
    measured: Manifest, model: Literal["float", "quantized"], measured_on: str
) -> Accuracy:
    figures = {
        name: value
        for name, value in measured[model]["figures"].items()
        if value is not None and math.isfinite(value)  # NaN: the mean of no classes
    }
    return Accuracy(figures, measured["images"], measured_on)
