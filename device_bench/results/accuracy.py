"""Accuracy figures for latency results: what the manifests of artifacts timed together know.

Nothing is evaluated here. `lvt-quantize` writes the figures of both its models into the int8
file's manifest; a float file gets its figures from there if it is that float model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

Manifest = Mapping[str, Any]


def known_figures(manifests: Sequence[Manifest]) -> list[dict[str, Any] | None]:
    """For each manifest what is known of its model's accuracy, as it stands in result files.

    `measured_on` is "this file", or "the float model" where the figures come from the manifest of
    a quantized file that was made from the same checkpoint, for the same task and input size.
    None: not measured.
    """
    of_float_models = {
        _model(manifest): _entry(manifest["accuracy"], "float", "the float model")
        for manifest in manifests
        if manifest["accuracy"] is not None and manifest["source"]["sha256"] is not None
    }
    return [
        _entry(manifest["accuracy"], "quantized", "this file")
        if manifest["accuracy"] is not None
        else of_float_models.get(_model(manifest))
        for manifest in manifests
    ]


def _model(manifest: Manifest) -> tuple[str, ...]:
    """Equal for artifacts of one checkpoint and one input size, whatever their target."""
    image = manifest["inputs"][0]
    size = [image["shape"][image["layout"].index(axis)] for axis in "HW"]
    source = manifest["source"]
    return (str(source["sha256"]), str(source["ema"]), str(size), json.dumps(manifest["model"]))


def _entry(accuracy: Manifest, which: str, measured_on: str) -> dict[str, Any]:
    figures = {
        name: value
        for name, value in accuracy[which]["figures"].items()
        if value is not None and math.isfinite(value)  # NaN: a mean over no classes
    }
    return {"images": accuracy["images"], "figures": figures, "measured_on": measured_on}
