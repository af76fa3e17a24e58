"""TFLite: written by litert-torch, run by LiteRT with XNNPACK on the CPU. Built-in operators only.

The file takes NHWC, so that a phone's camera frame needs no transpose. Outputs keep the layout of
the model. TensorFlow Lite 2.14 supports all operators, except those of 16 bits in w8a8.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.panoptic.roi_align import separable_roi_align
from export.placement import Placement
from export.session import Outputs
from export.targets import ConversionInput
from export.targets.tflite import flatbuffer
from export.targets.tflite.convert import convert, convert_int8, convert_integers
from export.targets.tflite.integers import make_inputs_and_outputs_integer
from export.targets.tflite.long_sums import split_long_sums
from export.targets.tflite.module_outputs import module_outputs as read_module_outputs
from export.targets.tflite.passes import (
    separate_activations,
    store_weights_in_float16,
    widen_strided_kernels,
)
from export.targets.tflite.placement import placement as xnnpack_placement
from export.targets.tflite.session import TfliteEntryPoints, TfliteSession

roi_align = separable_roi_align


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`. With fp16, weights are float16 and the CPU computes in float32."""
    if conversion.precision == "w8a8":
        file = convert_integers(conversion.entry_points)
        if conversion.integer_io:
            make_inputs_and_outputs_integer(file)
    else:
        convert_entry_points = convert_int8 if conversion.quantized else convert
        file = convert_entry_points(conversion.entry_points)
    if conversion.precision == "int8":
        widen_strided_kernels(file)
    separate_activations(file)
    split_long_sums(file)
    if conversion.precision == "fp16":
        store_weights_in_float16(file)
    flatbuffer.set_metadata(file, conversion.metadata)
    path.write_bytes(flatbuffer.pack(file))


def open_session(path: Path, *, threads: int = 0) -> TfliteSession:
    """See `Target.open_session`.

    Raises:
        UserError: the runtime refuses the file.
    """
    return TfliteSession(path, threads=threads)


def open_entry_points(path: Path, *, threads: int = 0) -> TfliteEntryPoints:
    """See `Target.open_entry_points`.

    Raises:
        UserError: the runtime refuses the file.
    """
    return TfliteEntryPoints(path, threads=threads)


def placement(path: Path) -> Placement:
    """See `Target.placement`: which operators XNNPACK runs, and which the plain kernels.

    Raises:
        UserError: the runtime refuses the file.
    """
    return xnnpack_placement(path)


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: the last value that each module computes, mostly NHWC."""
    return read_module_outputs(path, image, names)


def versions(path: Path) -> dict[str, str]:
    """See `Target.versions`."""
    return {
        "torch": torch.__version__,
        "litert-torch": version("litert-torch"),
        "ai-edge-litert": version("ai-edge-litert"),
    }


def runtime_name() -> str:
    """See `Target.runtime_name`."""
    return f"LiteRT {version('ai-edge-litert')}, XNNPACK"
