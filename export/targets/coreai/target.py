"""Core AI, Core ML's successor in iOS 27 and macOS 27: assets of coreai-torch. Experimental.

The package brings Core AI's runtime for the CPU, on Linux too, which lowers an asset and runs it.
The Neural Engine, and the system's own Core AI, take an Apple device.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import coreai_torch
import numpy as np
import torch
from coreai.runtime import AIModelAssetMetadata
from numpy.typing import NDArray

from export.panoptic.roi_align import separable_roi_align
from export.placement import Placement
from export.session import Outputs
from export.targets import ConversionInput
from export.targets.coreai.placement import placement as check_placement
from export.targets.coreai.precision import in_float16
from export.targets.coreai.session import CoreAISession, quiet

INPUT = "image"
roi_align = separable_roi_align


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`: a folder, the .aimodel."""
    half = conversion.precision == "fp16"
    model = in_float16(conversion.model) if half else conversion.model
    program = torch.export.export(model, (torch.zeros(1, 3, *conversion.size),))
    program = program.run_decompositions(coreai_torch.get_decomp_table())
    converter = coreai_torch.TorchConverter().add_exported_program(
        program, input_names=[INPUT], output_names=list(conversion.spec.outputs)
    )
    metadata = AIModelAssetMetadata()
    for key, value in conversion.metadata.items():
        metadata.set_custom(key, value)
    with quiet():
        converter.to_coreai().save_asset(path, metadata)


def open_session(path: Path, *, threads: int = 0) -> CoreAISession:
    """See `Target.open_session`. The runtime chooses its threads itself.

    Raises:
        UserError: the runtime refuses the asset.
    """
    return CoreAISession(path)


def placement(path: Path) -> Placement:
    """See `Target.placement`: a static check of what keeps the asset off the Neural Engine."""
    return check_placement(path)


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: none; inner values are not looked at."""
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
