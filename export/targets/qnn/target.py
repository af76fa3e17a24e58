"""QNN: ONNX graphs compiled for the NPU of Snapdragon phones, run by its software model on Linux.

The provider runs fp32 graphs in fp16 on the NPU. 16-bit activations need opset 21.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from export.chips import Chip
from export.panoptic.roi_align import separable_roi_align
from export.placement import Placement
from export.session import Outputs
from export.targets import ConversionInput
from export.targets.onnx.convert import Format, part_paths, write_folder
from export.targets.onnx.module_outputs import with_module_outputs
from export.targets.qnn.context import check_context, chips_of, compile_graphs
from export.targets.qnn.provider import run_model
from export.targets.qnn.session import HtpEntryPoints, HtpSession
from lvt.errors import UserError

roi_align = separable_roi_align

_FORMAT = Format(opset=21, ir_version=10)

_NOT_COUNTED = ("QuantizeLinear", "DequantizeLinear")
"""The compiler makes them part of the operators between them."""


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`: a folder with the graphs, and the compiled context of each chip."""
    write_folder(conversion, path, _FORMAT)
    for chip in conversion.chips:
        compile_graphs(path, chip)


def open_session(path: Path, *, threads: int = 0) -> HtpSession:
    """See `Target.open_session`: on the newest chip of the artifact; `threads` is not used."""
    return HtpSession(path, _chip(path))


def open_entry_points(path: Path, *, threads: int = 0) -> HtpEntryPoints:
    """See `Target.open_entry_points`: on the newest chip of the artifact."""
    return HtpEntryPoints(path, _chip(path))


def placement(path: Path) -> Placement:
    """See `Target.placement`: compiling fails unless the NPU takes every operator."""
    operators = Counter(
        node.op_type
        for graph in part_paths(path)
        for node in onnx.load(graph).graph.node
        if node.op_type not in _NOT_COUNTED
    )
    chips = chips_of(path)
    for chip in chips:
        check_context(path, chip)
    names = ", ".join(f"{chip.soc} (v{chip.htp_arch})" for chip in chips)
    remark = f"checked by compiling for {names}"
    return Placement("Hexagon NPU (HTP)", len(part_paths(path)), operators, remarks=(remark,))


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`."""
    return with_module_outputs(path, image, names, partial(run_model, _chip(path)))


def versions(path: Path) -> dict[str, str]:
    """See `Target.versions`."""
    return {
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "onnxruntime": onnxruntime.__version__,
        "onnxruntime-qnn": version("onnxruntime-qnn"),
        "qairt": check_context(path, _chip(path)).qairt,
        "opset": str(_FORMAT.opset),
    }


def runtime_name() -> str:
    """See `Target.runtime_name`."""
    return f"Qualcomm's software HTP (onnxruntime-qnn {version('onnxruntime-qnn')})"


def _chip(path: Path) -> Chip:
    """The newest chip of an artifact.

    Raises:
        UserError: it holds no compiled context.
    """
    chips = chips_of(path)
    if not chips:
        raise UserError(f"{path.name} is no qnn artifact: it holds no compiled context")
    return chips[-1]
