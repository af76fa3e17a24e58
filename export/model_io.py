"""Inputs and outputs of whole models, by task."""

from __future__ import annotations

from torch import nn

from export.entry_point import MAIN, EntryPoint, TensorInfo
from lvt.config import Size
from lvt.models import ModelSpec
from lvt.panoptic.config import PanopticConfig


def image_input(size: Size) -> TensorInfo:
    """The input of every model."""
    return TensorInfo("image", (1, 3, *size), "NCHW", "preprocessed picture")


def whole_model(module: nn.Module, spec: ModelSpec, size: Size) -> EntryPoint:
    """The entry point of a module that computes a model's outputs from an image."""
    return EntryPoint(MAIN, module, (image_input(size),), model_outputs(spec, size))


def model_outputs(spec: ModelSpec, size: Size) -> tuple[TensorInfo, ...]:
    """The outputs of a model for one input size."""
    sizes = [spec.config.map_size(size, stage) for stage in range(len(spec.config.stages))]
    if spec.task == "backbone":
        return tuple(
            TensorInfo(name, (1, dim, *map_size), "NCHW", "backbone feature map")
            for name, dim, map_size in zip(spec.outputs, spec.config.dims, sizes, strict=True)
        )
    if spec.panoptic is not None:
        return _panoptic_outputs(spec.panoptic, sizes[0])
    if spec.task == "semantic":
        meaning = f"class scores before softmax at 1/{spec.config.strides[0]} of the input size"
        return (TensorInfo("logits", (1, spec.classes, *sizes[0]), "NCHW", meaning),)
    return (TensorInfo("logits", (1, spec.classes), "NC", "class scores before softmax"),)


def semantic_output(stuff: int, quarter: Size) -> TensorInfo:
    """The semantic logits of a panoptic model."""
    return TensorInfo(
        "semantic",
        (1, stuff + 1, *quarter),
        "NCHW",
        "scores of the stuff classes, then of 'some thing', at a quarter of the input size",
    )


def _panoptic_outputs(config: PanopticConfig, quarter: Size) -> tuple[TensorInfo, ...]:
    slots = config.detection.count
    cells = 2 * config.roi.mask_size
    return (
        TensorInfo("boxes", (slots, 4), "N4", "x1, y1, x2, y2 in network pixels, best first"),
        TensorInfo("scores", (slots,), "N", "probabilities; 0 marks an empty slot"),
        TensorInfo("labels", (slots,), "N", "thing classes", dtype="int32"),
        TensorInfo("masks", (slots, cells, cells), "NHW", "probabilities inside the box"),
        semantic_output(config.stuff, quarter),
    )
