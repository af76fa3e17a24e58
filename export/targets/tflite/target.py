"""TFLite: written by litert-torch, run by LiteRT with XNNPACK on the CPU. Built-in operators only.

The file takes NHWC, so that a phone's camera frame needs no transpose; outputs stay as the model
has them. The operators are among those that TensorFlow Lite 2.14 knows.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from export.panoptic.roi_align import separable_roi_align
from export.placement import Placement
from export.session import Outputs
from export.targets import ConversionInput
from export.targets.tflite import flatbuffer
from export.targets.tflite import session as runtime
from export.targets.tflite.convert import convert, convert_int8

roi_align = separable_roi_align


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`. With fp16, weights are halved and the CPU computes in float32."""
    if conversion.quantized:
        assert isinstance(conversion.model, fx.GraphModule)
        file = convert_int8(conversion.model, conversion.spec, conversion.size)
    else:
        file = convert(conversion.model, conversion.spec, conversion.size)
    if conversion.precision == "fp16":
        flatbuffer.halve_weights(file)
    flatbuffer.set_metadata(file, conversion.metadata)
    path.write_bytes(flatbuffer.pack(file))


def read_metadata(path: Path) -> dict[str, str]:
    """What `write` embedded, and the converter's own entries.

    Raises:
        UserError: not a TFLite file.
    """
    return flatbuffer.get_metadata(flatbuffer.read(path))


def open_session(path: Path, *, threads: int = 0) -> runtime.TfliteSession:
    """See `Target.open_session`.

    Raises:
        UserError: the runtime refuses the file.
    """
    return runtime.TfliteSession(path, threads=threads)


def placement(path: Path) -> Placement:
    """What XNNPACK takes of the file, and what is left to the plain kernels.

    Raises:
        UserError: the runtime refuses the file.
    """
    return runtime.placement(path)


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: the last value each module computed, as the file holds it.

    Feature maps are usually NHWC there. A module whose last operation was merged into another's
    gives the value before it; one that the converter dissolved is missing.

    Args:
        path: written by `write`.
        image: (1, 3, H, W).
        names: dotted names of modules.
    """
    return runtime.module_outputs(path, image, names)


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
