"""Scale, zero point and integer limits: how integers of 8 or 16 bits stand for float values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from quantization.ranges import UNIT_RANGE, Range

Bits = Literal[8, 16]

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


_DTYPES = {
    (8, False): torch.int8,
    (8, True): torch.uint8,
    (16, False): torch.int16,
    (16, True): torch.uint16,
}
"""By bits, and whether the integers are unsigned."""


def symmetric_params(value_range: Range) -> QuantParams:
    """Signed integers of 16 bits whose zero point is zero."""
    limit = max(map(abs, value_range))
    steps = 2**15 if value_range == UNIT_RANGE else 2**15 - 1
    return QuantParams(max(limit / steps, MIN_SCALE), 0, 1 - 2**15, 2**15 - 1, torch.int16)


def activation_params(value_range: Range, *, unsigned: bool, bits: Bits = 8) -> QuantParams:
    """Spreads the levels of the integers over a range that contains zero."""
    low, high = value_range
    levels = 1 << bits
    quant_min = 0 if unsigned else -levels // 2
    quant_max = quant_min + levels - 1
    steps = levels if value_range == UNIT_RANGE else levels - 1
    scale = max((high - low) / steps, MIN_SCALE)
    zero_point = min(max(round(quant_min - low / scale), quant_min), quant_max)
    return QuantParams(scale, zero_point, quant_min, quant_max, _DTYPES[bits, unsigned])
