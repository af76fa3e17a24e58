"""Scale, zero point and integer limits: how int8 and uint8 numbers stand for float values."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from quantization.ranges import LEVELS, Range

MIN_SCALE = 2.0**-20
"""The scale of a value that is always zero, and of a weight's dead channel."""


@dataclass(frozen=True)
class QuantParams:
    """value = scale * (integer - zero_point), with integers from `quant_min` to `quant_max`."""

    scale: float
    zero_point: int
    quant_min: int
    quant_max: int
    dtype: torch.dtype


def activation_params(value_range: Range, *, unsigned: bool) -> QuantParams:
    """Spreads the 256 levels over a range that contains zero."""
    low, high = value_range
    quant_min, dtype = (0, torch.uint8) if unsigned else (-LEVELS // 2, torch.int8)
    quant_max = quant_min + LEVELS - 1
    scale = max((high - low) / (LEVELS - 1), MIN_SCALE)
    zero_point = min(max(round(quant_min - low / scale), quant_min), quant_max)
    return QuantParams(scale, zero_point, quant_min, quant_max, dtype)
