"""Writes the manifest of an artifact: everything that a program needs to run the file."""

from __future__ import annotations

import copy
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from export.artifact.files import SCHEMA, content_bytes, content_sha256
from export.panoptic.graph import PanopticGraph
from export.parity.compare import ParityReport
from export.placement import Placement
from export.plan import ExportPlan
from export.targets import Target
from lvt.complexity import count_macs, count_parameters
from lvt.config import Size
from lvt.models import ModelSpec
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.model import LVTPanoptic


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of the model file."""

    name: str
    shape: tuple[int, ...]
    layout: str
    meaning: str
    dtype: str = "float32"

    def to_dict(self) -> dict[str, Any]:
        """The manifest's entry."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "layout": self.layout,
            "meaning": self.meaning,
        }


def make_manifest(
    plan: ExportPlan,
    target: Target,
    file: Path,
    module: nn.Module,
    parity: ParityReport,
    placement: Placement,
) -> dict[str, Any]:
    """The manifest of a written and verified file.

    Args:
        plan: the artifact.
        target: its format.
        file: the written file.
        module: what was converted; its multiply-accumulates are counted.
        parity: difference from the reference.
        placement: which operators run on the accelerator.
    """
    model, checkpoint = plan.model, plan.model.loaded.checkpoint
    return {
        "schema": SCHEMA,
        "task": model.spec.task,
        "target": plan.target.name,
        "precision": plan.precision,
        "file": {
            "name": file.name,
            "bytes": content_bytes(file),
            "sha256": content_sha256(file),
        },
        "model": model.spec.to_dict(),
        "model_name": model.spec.name,
        "parameters": count_parameters(model.reference),
        "macs": {
            "reference": reference_macs(model.reference, model.spec, model.size),
            "artifact": _module_macs(module, model.size),
        },
        "inputs": [_input(plan).to_dict()],
        "outputs": [output.to_dict() for output in _outputs(model.spec, model.size)],
        "preprocessing": model.preprocessing.to_dict(),
        "labels": model.labels.to_dict() if model.labels else None,
        "parity": {"runtime": target.runtime_name(), **parity.to_dict()},
        "placement": placement.to_dict(),
        "accuracy": None,  # lvt-quantize with labelled pictures measures it
        "rewritten": plan.recipe is not None,
        "source": {
            "checkpoint": checkpoint.path.name if checkpoint else None,
            "container": checkpoint.container if checkpoint else "random weights, seed 0",
            "sha256": checkpoint.sha256 if checkpoint else None,
            "ema": model.loaded.ema,
        },
        "tools": {
            "lvt-mobile": version("lvt-mobile"),
            "python": platform.python_version(),
            **target.versions(file),
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _input(plan: ExportPlan) -> TensorInfo:
    height, width = plan.model.size
    layout = plan.target.layout
    shape = (1, 3, height, width) if layout == "NCHW" else (1, height, width, 3)
    if plan.pixels is not None:
        meaning = "picture of 8-bit RGB pixels, resized but not normalised: the file does that"
        return TensorInfo("image", shape, layout, meaning, dtype="uint8")
    return TensorInfo("image", shape, layout, "preprocessed picture")


def _outputs(spec: ModelSpec, size: Size) -> list[TensorInfo]:
    sizes = [spec.config.map_size(size, stage) for stage in range(len(spec.config.stages))]
    if spec.task == "backbone":
        return [
            TensorInfo(name, (1, dim, *map_size), "NCHW", "backbone feature map")
            for name, dim, map_size in zip(spec.outputs, spec.config.dims, sizes, strict=True)
        ]
    if spec.panoptic is not None:
        return _panoptic_outputs(spec.panoptic, sizes[0])
    if spec.task == "semantic":
        meaning = f"class scores before softmax at 1/{spec.config.strides[0]} of the input size"
        return [TensorInfo("logits", (1, spec.classes, *sizes[0]), "NCHW", meaning)]
    return [TensorInfo("logits", (1, spec.classes), "NC", "class scores before softmax")]


def _panoptic_outputs(config: PanopticConfig, quarter: Size) -> list[TensorInfo]:
    slots = config.detection.count
    cells = 2 * config.roi.mask_size
    return [
        TensorInfo("boxes", (slots, 4), "N4", "x1, y1, x2, y2 in network pixels, best first"),
        TensorInfo("scores", (slots,), "N", "probabilities; 0 marks an empty slot"),
        TensorInfo("labels", (slots,), "N", "thing classes", dtype="int32"),
        TensorInfo("masks", (slots, cells, cells), "NHW", "probabilities inside the box"),
        TensorInfo(
            "semantic",
            (1, config.stuff + 1, *quarter),
            "NCHW",
            "scores of the stuff classes, then of 'some thing', at a quarter of the input size",
        ),
    ]


def _module_macs(module: nn.Module, size: Size) -> int:
    """Multiply-accumulates of the converted module."""
    if isinstance(module, PanopticGraph):
        module = copy.copy(module)
        module.roi_align = _uncounted_roi_align
    return count_macs(module, size)


def reference_macs(model: nn.Module, spec: ModelSpec, size: Size) -> int:
    """Multiply-accumulates of a reference model for one image.

    Panoptic models are counted with every proposal and detection slot filled.
    """
    if spec.panoptic is not None:
        assert isinstance(model, LVTPanoptic)
        model = PanopticGraph(model, spec.panoptic, size, _uncounted_roi_align)
    return count_macs(model, size)


def _uncounted_roi_align(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    """Keeps the shape of RoIAlign's result; interpolation is not counted anywhere."""
    return feature.new_zeros(boxes.shape[0], feature.shape[1], size, size)
