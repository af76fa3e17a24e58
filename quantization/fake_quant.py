"""Fake quantization: the rounding of int8, computed in float."""

from __future__ import annotations

import torch
from torch import Tensor

aten = torch.ops.aten


def fake_quantize(
    value: Tensor, scale: float, zero_point: int, quant_min: int, quant_max: int
) -> Tensor:
    """Quantizes a value and dequantizes it again.

    The result is equal to the bit to that of PyTorch's operator. That operator also records what
    its gradient needs and takes six times as long, so it is called only where a gradient is needed.

    Args:
        value: any shape, float32.
        scale: distance of two levels.
        zero_point: the integer that stands for zero.
        quant_min: least integer.
        quant_max: greatest integer.
    """
    if value.requires_grad and torch.is_grad_enabled():
        return aten.fake_quantize_per_tensor_affine(value, scale, zero_point, quant_min, quant_max)
    inverse_scale = (1 / torch.tensor(scale)).item()  # in float32, as PyTorch divides
    rounded = (value * inverse_scale).round_()
    return rounded.clamp_(quant_min - zero_point, quant_max - zero_point).mul_(scale)
