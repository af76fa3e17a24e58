"""Core AI, Core ML's successor in iOS 27 and macOS 27: assets of coreai-torch. Experimental.

The package includes Core AI's runtime for the CPU, on Linux too, which lowers and runs an asset.
The Neural Engine, and the system's own Core AI, need an Apple device.
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
from export.targets.coreai.convert import convert
from export.targets.coreai.placement import placement as check_placement
from export.targets.coreai.session import CoreAIEntryPoints, CoreAISession

roi_align = separable_roi_align


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`: a folder, the .aimodel."""
    convert(conversion, path)


def open_session(path: Path, *, threads: int = 0) -> CoreAISession:
    """See `Target.open_session`. The runtime ignores `threads`.

    Raises:
        UserError: the runtime refuses the asset.
    """
    return CoreAISession(path)


def open_entry_points(path: Path, *, threads: int = 0) -> CoreAIEntryPoints:
    """See `Target.open_entry_points`. The runtime ignores `threads`.

    Raises:
        UserError: the runtime refuses the asset.
    """
    return CoreAIEntryPoints(path)


def placement(path: Path) -> Placement:
    """See `Target.placement`: a static check for the Neural Engine."""
    return check_placement(path)


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: none, because the runtime returns no inner values."""
    return {}


def versions(path: Path) -> dict[str, str]:
    """See `Target.versions`."""
    return {
        "torch": torch.__version__,
        "coreai-torch": version("coreai-torch"),
        "coreai-core": version("coreai-core"),
        "minimum": "iOS 27, macOS 27",
    }


def runtime_name() -> str:
    """See `Target.runtime_name`."""
    return f"Core AI {version('coreai-core')} on the CPU; not on an Apple device"
