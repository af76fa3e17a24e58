"""Writes the manifest of an artifact: everything that a program needs to run the file."""

from __future__ import annotations

import copy
import platform
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from export.artifact.files import PARTS_SCHEMA, SCHEMA, content_bytes, content_sha256
from export.entry_point import EntryPoint, TensorInfo
from export.model_io import model_outputs
from export.panoptic.graph import PanopticGraph
from export.panoptic.parts.layout import HostConstants
from export.parity.compare import ParityReport
from export.placement import Placement
from export.plan import ExportPlan
from export.targets import Target
from lvt.complexity import count_macs, count_parameters
from lvt.config import Size
from lvt.models import ModelSpec
from lvt.panoptic.model import LVTPanoptic


def make_manifest(
    plan: ExportPlan,
    target: Target,
    file: Path,
    entry_points: Sequence[EntryPoint],
    parity: ParityReport,
    placement: Placement,
) -> dict[str, Any]:
    """The manifest of a written and verified file.

    Args:
        plan: the artifact.
        target: its format.
        file: the written file.
        entry_points: what was converted, in float; their multiply-accumulates are counted.
        parity: difference from the reference.
        placement: which operators run on the accelerator.
    """
    model, checkpoint = plan.model, plan.model.loaded.checkpoint
    return {
        "schema": SCHEMA if plan.host is None else PARTS_SCHEMA,
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
            "artifact": sum(_calls(entry, plan.host) * _macs(entry) for entry in entry_points),
        },
        "inputs": [_input(plan).to_dict()],
        "outputs": [
            (output if plan.host else _in_file(plan, output)).to_dict()
            for output in model_outputs(model.spec, model.size)
        ],
        **({} if plan.host is None else {"parts": _parts(plan, plan.host, entry_points)}),
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
    return _in_file(plan, TensorInfo("image", shape, layout, "preprocessed picture"))


def _in_file(plan: ExportPlan, info: TensorInfo) -> TensorInfo:
    """An input or output with the type that it has in the file."""
    if not plan.integer_io:
        return info
    return replace(info, dtype="int8", meaning=f"{info.meaning}; the file has scale and zero point")


def _parts(
    plan: ExportPlan, host: HostConstants, entry_points: Sequence[EntryPoint]
) -> dict[str, Any]:
    """The entry points, in the layouts of the file, and the constants of the host steps."""
    return {
        "entry_points": [
            {
                "name": entry.name,
                "inputs": [
                    (_input(plan) if info.name == "image" else _in_file(plan, info)).to_dict()
                    for info in entry.inputs
                ],
                "outputs": [_in_file(plan, info).to_dict() for info in entry.outputs],
            }
            for entry in entry_points
        ],
        "host": host.to_dict(),
    }


def _calls(entry: EntryPoint, host: HostConstants | None) -> int:
    """Number of calls for an image with every proposal and detection."""
    if host is None:
        return 1
    return host.calls(entry.name)


def _macs(entry: EntryPoint) -> int:
    """Multiply-accumulates of one call."""
    module = entry.module
    if isinstance(module, PanopticGraph):
        module = copy.copy(module)
        module.roi_align = _uncounted_roi_align
    return count_macs(module, *(info.shape for info in entry.inputs))


def reference_macs(model: nn.Module, spec: ModelSpec, size: Size) -> int:
    """Multiply-accumulates of a reference model for one image.

    Panoptic models are counted with every proposal and detection slot filled.
    """
    if spec.panoptic is not None:
        assert isinstance(model, LVTPanoptic)
        model = PanopticGraph(model, spec.panoptic, size, _uncounted_roi_align)
    return count_macs(model, (1, 3, *size))


def _uncounted_roi_align(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    """Keeps the shape of RoIAlign's result; interpolation is not counted anywhere."""
    return feature.new_zeros(boxes.shape[0], feature.shape[1], size, size)
