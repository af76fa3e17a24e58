"""Core ML: ML Programs written by coremltools, run by Core ML on a Mac, elsewhere evaluated.

They need iOS 16 or macOS 13, the first whose programs hold int8 weights and float16 inputs and
outputs. Int8 activations need iOS 17 or macOS 14.
"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.panoptic.roi_align import separable_roi_align
from export.placement import Placement
from export.session import EntryPointSession, Outputs, Session
from export.targets import ConversionInput
from export.targets.coreml.convert import convert
from export.targets.coreml.evaluator import EVALUATOR_NAME
from export.targets.coreml.loader import read_minimum
from export.targets.coreml.placement import placement as check_placement
from export.targets.coreml.session import (
    CoreMLEntryPoints,
    CoreMLSession,
    EvaluatorEntryPoints,
    EvaluatorSession,
)
from export.targets.coreml.suppress_warnings import import_coremltools

roi_align = separable_roi_align
import_coremltools()  # at import, as other targets import their runtimes


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`: a folder, the .mlpackage."""
    convert(conversion, path)


def open_session(path: Path, *, threads: int = 0) -> Session:
    """See `Target.open_session`. Core ML and the evaluator ignore `threads`."""
    return CoreMLSession(path) if sys.platform == "darwin" else EvaluatorSession(path)


def open_entry_points(path: Path, *, threads: int = 0) -> EntryPointSession:
    """See `Target.open_entry_points`. Core ML and the evaluator ignore `threads`."""
    return CoreMLEntryPoints(path) if sys.platform == "darwin" else EvaluatorEntryPoints(path)


def placement(path: Path) -> Placement:
    """See `Target.placement`: a static check for the Neural Engine."""
    return check_placement(path)


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: none, because coremltools keeps no module names."""
    return {}


def versions(path: Path) -> dict[str, str]:
    """See `Target.versions`."""
    return {
        "torch": torch.__version__,
        "coremltools": version("coremltools"),
        "minimum": read_minimum(path),
    }


def runtime_name() -> str:
    """See `Target.runtime_name`."""
    if sys.platform == "darwin":
        return f"Core ML of macOS {platform.mac_ver()[0]}"
    return EVALUATOR_NAME
