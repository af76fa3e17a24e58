"""Which accuracy figures stand beside which latency."""

from __future__ import annotations

from typing import Any

from device_bench.results.accuracy import known_accuracy
from device_bench.results.bench_result import Accuracy
from export.pipeline import ExportResult


def quantized(manifest: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The manifest of a quantized file of the same model, as lvt-quantize writes it."""
    accuracy = {
        "images": 7,
        "float": {"figures": {"mIoU": 61.5, "pixel accuracy": 90.0}, "per_class": {}},
        "quantized": {"figures": {"mIoU": 60.25, "pixel accuracy": float("nan")}, "per_class": {}},
    }
    return manifest | {"precision": "int8", "accuracy": accuracy} | changes


def test_the_float_file_takes_the_float_figures(tiny_export: ExportResult) -> None:
    """Only they make a chart of accuracy against latency a comparison."""
    manifest = tiny_export.manifest
    own, other = known_accuracy([manifest, quantized(manifest)])
    assert own == Accuracy(
        images=7,
        figures={"mIoU": 61.5, "pixel accuracy": 90.0},
        measured_on="the float model",
    )
    assert other is not None
    assert other.measured_on == "this file"
    assert other.figures == {"mIoU": 60.25}  # JSON has no NaN


def test_figures_of_another_model_are_not_borrowed(tiny_export: ExportResult) -> None:
    """Another checkpoint, another input size, or weights that cannot be told apart."""
    manifest = tiny_export.manifest
    image = manifest["inputs"][0]
    sources = [
        {"source": manifest["source"] | {"sha256": "f" * 64}},
        {"inputs": [image | {"shape": [1, 3, 32, 32]}]},
    ]
    for changes in sources:
        assert known_accuracy([manifest, quantized(manifest, **changes)])[0] is None
    random = manifest | {"source": manifest["source"] | {"sha256": None}}
    assert known_accuracy([random, quantized(random)])[0] is None


def test_not_measured_stays_not_measured(tiny_export: ExportResult) -> None:
    assert known_accuracy([tiny_export.manifest]) == [None]
