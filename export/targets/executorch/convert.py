"""PyTorch to an ExecuTorch program whose XNNPACK delegates went through our passes."""

from __future__ import annotations

from pathlib import Path

from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

from export.targets import ConversionInput
from export.targets.executorch.program import write_program
from export.targets.executorch.serializer_hook import before_serialization
from export.targets.executorch.xnnpack_passes import run_passes


def convert(conversion: ConversionInput, path: Path) -> None:
    """Lowers the model to XNNPACK and writes the .pte file."""
    with before_serialization(run_passes):
        write_program(conversion, XnnpackPartitioner(), path)
