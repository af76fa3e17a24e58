"""Whether LiteRT's GPU accelerator takes a file that was just written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from export.entry_point import EntryPoint
from export.placement import GpuPlacement
from export.targets.tflite.convert import signature_name
from export.targets.tflite.gpu.devices import open_on_gpu
from export.targets.tflite.gpu.session import GpuError


def check_on_gpu(path: Path, entry_points: Sequence[EntryPoint]) -> GpuPlacement:
    """Compiles a file for the GPU in float32, and calls each entry point once, with zeros.

    Raises:
        UserError: there is no GPU, and the software devices cannot be fetched.
    """
    try:
        with open_on_gpu(path, "fp32") as file:
            for entry in entry_points:
                zeros = zip(entry.inputs, entry.example_inputs(), strict=True)
                inputs = {info.name: values.numpy() for info, values in zeros}
                file.call(signature_name(entry.name), inputs)
            log = file.log
    except GpuError as error:
        return GpuPlacement(error.log.adapter or "no device", str(error))
    return GpuPlacement(log.adapter or "no device", "; ".join(log.problems) or None)
