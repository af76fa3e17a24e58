"""int8's rounding of a value, in float."""

from __future__ import annotations

import torch
from torch import Tensor

aten = torch.ops.aten


def fake_quantize(value: Tensor, step: float, zero_point: int, least: int, greatest: int) -> Tensor:
    """What is left of a value that is quantized and dequantized again.

    The same to the bit as PyTorch's operator, which also notes what its gradient needs and takes
    six times as long; that one is called where a gradient is asked for.

    Args:
        value: any shape, float32.
        step: the scale.
        zero_point: the integer that stands for zero.
        least: integer.
        greatest: integer.
    """
    if value.requires_grad and torch.is_grad_enabled():
        return aten.fake_quantize_per_tensor_affine(value, step, zero_point, least, greatest)
    steps_of_one = (1 / torch.tensor(step)).item()  # in float32, as PyTorch divides
    rounded = (value * steps_of_one).round_()
    return rounded.clamp_(least - zero_point, greatest - zero_point).mul_(step)
