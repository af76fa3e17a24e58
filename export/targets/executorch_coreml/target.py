"""ExecuTorch for Apple devices: one program lowered to Core ML, evaluated on this machine."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.panoptic.roi_align import separable_roi_align
from export.placement import Placement
from export.session import EntryPointSession, Outputs
from export.targets import ConversionInput
from export.targets.coreml.evaluator import EVALUATOR_NAME
from export.targets.executorch.placement import program_placement
from export.targets.executorch_coreml.convert import convert
from export.targets.executorch_coreml.session import DelegatedSession

roi_align = separable_roi_align


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`."""
    convert(conversion, path)


def open_session(path: Path, *, threads: int = 0) -> DelegatedSession:
    """See `Target.open_session`. The evaluator ignores `threads`."""
    return DelegatedSession(path)


def open_entry_points(path: Path, *, threads: int = 0) -> EntryPointSession:
    """See `Target.open_entry_points`: there are none, because the target has no panoptic models."""
    raise NotImplementedError


def placement(path: Path) -> Placement:
    """See `Target.placement`."""
    return program_placement(path, "Core ML")


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: none, because coremltools keeps no module names."""
    return {}


def versions(path: Path) -> dict[str, str]:
    """See `Target.versions`."""
    return {
        "torch": torch.__version__,
        "executorch": version("executorch"),
        "coremltools": version("coremltools"),
    }


def runtime_name() -> str:
    """See `Target.runtime_name`."""
    return EVALUATOR_NAME
