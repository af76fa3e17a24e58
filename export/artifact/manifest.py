"""The manifest of an artifact: everything that whoever runs the file has to know."""

from __future__ import annotations

import copy
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from export.artifact.reader import SCHEMA, TensorInfo, content_bytes, content_sha256
from export.capabilities import TargetInfo
from export.panoptic.graph import PanopticGraph
from export.parity.compare import ParityReport
from export.placement import Placement
from export.plan import ExportRequest, Job
from export.targets import ConversionInput, Target
from lvt.complexity import count_macs, count_parameters
from lvt.config import Size
from lvt.models import ModelSpec
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.model import LVTPanoptic


def make_manifest(
    request: ExportRequest,
    job: Job,
    info: TargetInfo,
    conversion: ConversionInput,
    parity: ParityReport,
    placement: Placement,
    target: Target,
    file: Path,
) -> dict[str, Any]:
    """The manifest of a written and measured `file`."""
    checkpoint = job.source.checkpoint
    return {
        "schema": SCHEMA,
        "task": job.spec.task,
        "target": info.name,
        "precision": conversion.precision,
        "file": {
            "name": file.name,
            "bytes": content_bytes(file),
            "sha256": content_sha256(file),
        },
        "model": job.spec.to_dict(),
        "model_name": job.spec.name,
        "parameters": count_parameters(job.source.model),
        "macs": _macs(job, conversion.model),
        "inputs": [_input(info, conversion).to_dict()],
        "outputs": [output.to_dict() for output in _outputs(job.spec, job.size)],
        "preprocessing": job.preprocessing.to_dict(),
        "labels": job.labels.to_dict() if job.labels else None,
        "parity": {"runtime": target.runtime_name(), **parity.to_dict()},
        "placement": placement.to_dict(),
        "accuracy": None,  # not measured
        "rewritten": request.rewrite,
        "source": {
            "checkpoint": checkpoint.path.name if checkpoint else None,
            "container": checkpoint.container if checkpoint else "random weights, seed 0",
            "sha256": checkpoint.sha256 if checkpoint else None,
            "ema": request.ema,
        },
        "tools": {
            "lvt-mobile": version("lvt-mobile"),
            "python": platform.python_version(),
            **target.versions(file),
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _input(info: TargetInfo, conversion: ConversionInput) -> TensorInfo:
    height, width = conversion.size
    shape = (1, 3, height, width) if info.layout == "NCHW" else (1, height, width, 3)
    if conversion.pixels is not None:
        meaning = "picture of 8-bit RGB pixels, resized but not normalised: the file does that"
        return TensorInfo("image", shape, info.layout, meaning, dtype="uint8")
    return TensorInfo("image", shape, info.layout, "preprocessed picture")


def _outputs(spec: ModelSpec, size: Size) -> list[TensorInfo]:
    sizes = [spec.config.map_size(size, stage) for stage in range(len(spec.config.stages))]
    if spec.task == "backbone":
        return [
            TensorInfo(name, (1, dim, *own), "NCHW", "backbone feature map")
            for name, dim, own in zip(spec.outputs, spec.config.dims, sizes, strict=True)
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


def _macs(job: Job, exported: nn.Module) -> dict[str, int]:
    """Multiply-accumulates of the reference and of what was exported."""
    if isinstance(exported, PanopticGraph):
        exported = copy.copy(exported)
        exported.roi_align = _uncounted_roi_align
    return {
        "reference": reference_macs(job.source.model, job.spec, job.size),
        "artifact": count_macs(exported, job.size),
    }


def reference_macs(model: nn.Module, spec: ModelSpec, size: Size) -> int:
    """Multiply-accumulates of a reference model for one image.

    A panoptic one's lists have no fixed length; it is counted with all slots filled.
    """
    if spec.panoptic is not None:
        assert isinstance(model, LVTPanoptic)
        model = PanopticGraph(model, spec.panoptic, size, _uncounted_roi_align)
    return count_macs(model, size)


def _uncounted_roi_align(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    """Interpolation is not counted, as elsewhere: only the shape of the result matters."""
    return feature.new_zeros(boxes.shape[0], feature.shape[1], size, size)
