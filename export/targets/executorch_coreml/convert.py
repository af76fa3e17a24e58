"""PyTorch to an ExecuTorch program with one Core ML delegate."""

from __future__ import annotations

from pathlib import Path

from executorch.backends.apple.coreml.compiler import CoreMLBackend
from executorch.backends.apple.coreml.partition import CoreMLPartitioner

from export.targets import ConversionInput
from export.targets.coreml.suppress_warnings import import_coremltools, suppress_warnings
from export.targets.executorch.program import write_program


def convert(conversion: ConversionInput, path: Path) -> None:
    """Lowers the model to Core ML, for iOS 16 and macOS 13, and writes the .pte file."""
    ct = import_coremltools()
    half = conversion.precision == "fp16"
    specs = CoreMLBackend.generate_compile_specs(
        compute_unit=ct.ComputeUnit.ALL,
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
    )
    with suppress_warnings():
        write_program(conversion, CoreMLPartitioner(compile_specs=specs), path)
