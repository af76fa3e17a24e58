"""RoIAlign as a custom PyTorch operator that torch's exporter translates to ONNX's RoiAlign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnxscript import opset20 as op
from torch import Tensor

from export.panoptic.roi_align import separable_roi_align


@torch.library.custom_op("lvt::roi_align", mutates_args=())
def roi_align(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    """RoIAlign that is exported as ONNX's operator, which is faster than matrix products.

    In PyTorch it computes the separable form, which gives the same values.
    """
    return separable_roi_align(feature, boxes, size, stride)


@roi_align.register_fake
def _roi_align_shape(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    return feature.new_empty(boxes.shape[0], feature.shape[1], size, size)


def _translate_roi_align(feature: Any, boxes: Any, size: int, stride: int) -> Any:
    """ONNX's RoiAlign for a batch of one image."""
    zero = onnx.helper.make_tensor("zero", onnx.TensorProto.INT64, [1], [0])
    batch_indices = op.ConstantOfShape(op.Shape(boxes, end=1), value=zero)
    return op.RoiAlign(
        feature,
        boxes,
        batch_indices,  # type: ignore[arg-type]
        coordinate_transformation_mode="half_pixel",
        mode="avg",
        output_height=size,
        output_width=size,
        sampling_ratio=0,
        spatial_scale=1 / stride,
    )


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.lvt.roi_align.default: _translate_roi_align
}
"""{custom operator: its translation}, for torch's exporter."""
