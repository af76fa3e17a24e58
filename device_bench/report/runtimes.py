"""Names and packages of the runtimes, as reports and pages show them."""

from __future__ import annotations

from device_bench.results.bench_result import TORCH, BenchResult
from device_bench.results.run_info import RunInfo

RUNTIME_NAMES = {
    "onnxruntime": "ONNX Runtime",
    "coreml": "Core ML",
    "executorch": "ExecuTorch",
    "tflite": "LiteRT",
    TORCH: "PyTorch",
    "qnn": "QNN",
}
"""Backend to the name of its runtime."""
RUNTIME_PACKAGES = {
    "onnxruntime": "onnxruntime",
    "executorch": "executorch",
    "tflite": "ai-edge-litert",
    TORCH: "torch",
}
"""Backend to the Python package whose version counts."""


def runtime_of(result: BenchResult, run: RunInfo) -> str:
    """The runtime of a result with its version, where it is known."""
    name = RUNTIME_NAMES.get(result.backend, result.backend)
    if result.device is not None:
        version = result.device.get("runtime_version")
    else:
        packages = run.environment.get("packages", {})
        version = packages.get(RUNTIME_PACKAGES.get(result.backend))
    return name if version is None else f"{name} {version}"
