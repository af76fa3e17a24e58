"""ONNX: written by torch's exporter, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from export.placement import Placement
from export.session import Outputs
from export.targets import ConversionInput
from export.targets.onnx.convert import FORMAT
from export.targets.onnx.convert import write as write_files
from export.targets.onnx.module_outputs import module_outputs as read_module_outputs
from export.targets.onnx.placement import placement as count_operators
from export.targets.onnx.roi_align import roi_align as roi_align  # of the protocol
from export.targets.onnx.session import OnnxEntryPoints, OnnxSession


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`."""
    write_files(conversion, path)


def open_session(path: Path, *, threads: int = 0) -> OnnxSession:
    """See `Target.open_session`."""
    return OnnxSession(path, threads=threads)


def open_entry_points(path: Path, *, threads: int = 0) -> OnnxEntryPoints:
    """See `Target.open_entry_points`."""
    return OnnxEntryPoints(path, threads=threads)


def placement(path: Path) -> Placement:
    """See `Target.placement`: all operators run on the CPU."""
    return count_operators(path)


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: the last value that each module computes."""
    return read_module_outputs(path, image, names)


def versions(path: Path) -> dict[str, str]:
    """See `Target.versions`."""
    return {
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "onnxruntime": onnxruntime.__version__,
        "opset": str(FORMAT.opset),
    }


def runtime_name() -> str:
    """See `Target.runtime_name`."""
    return f"ONNX Runtime {onnxruntime.__version__}"
