"""ExecuTorch: lowered to XNNPACK, run by the ExecuTorch runtime on the CPU.

Operators outside the delegates run in ExecuTorch's portable kernels, plain C++ loops.
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
from export.targets.executorch.convert import convert
from export.targets.executorch.placement import program_placement
from export.targets.executorch.session import ExecuTorchEntryPoints, ExecuTorchSession

roi_align = separable_roi_align


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`."""
    convert(conversion, path)


def open_session(path: Path, *, threads: int = 0) -> ExecuTorchSession:
    """See `Target.open_session`."""
    return ExecuTorchSession(path, threads=threads)


def open_entry_points(path: Path, *, threads: int = 0) -> ExecuTorchEntryPoints:
    """See `Target.open_entry_points`."""
    return ExecuTorchEntryPoints(path, threads=threads)


def placement(path: Path) -> Placement:
    """See `Target.placement`."""
    return program_placement(path, "XNNPACK")


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: none, because values inside a delegate cannot be read."""
    return {}


def versions(path: Path) -> dict[str, str]:
    """See `Target.versions`."""
    return {"torch": torch.__version__, "executorch": version("executorch")}


def runtime_name() -> str:
    """See `Target.runtime_name`."""
    return f"ExecuTorch {version('executorch')}, XNNPACK"
