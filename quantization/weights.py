"""Weights in int8: symmetric, with a scale for each output channel.

Where a runtime's kernels add products in 16 bits on some processors, the scale of a channel is
wide enough for no two neighbouring weights to overflow: `export.targets.onnx.saturation` tells
which they are. That costs most channels a third of their steps (2.5 dB of the weights' own SQNR
of 43 dB); weights of 7 bits would cost all of them half (6 dB).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, fx

from export.targets.onnx.saturation import PAIR_LIMIT, is_depthwise, kernel_order, pair_sums
from quantization.graph import BackendConfig, aten

WEIGHT_LIMIT = 127
"""Weights are symmetric, -127 to 127: integer kernels want no zero point, and no -128 either."""

_BELOW_PAIR_LIMIT = PAIR_LIMIT * (1 - 2.0**-20)
"""Two values that add up to less than a whole number do not exceed it when both are rounded."""

SMALLEST_SCALE = 2.0**-20
"""Of a value that is always zero, and of a dead channel."""


def channel_axis(node: fx.Node) -> int:
    """Axis of the output channels in the weight of a `WEIGHTED` node."""
    return int(node.target in (aten.conv_transpose2d.input, aten.matmul.default))


def adds_in_pairs(node: fx.Node, weight: Tensor, abilities: BackendConfig) -> bool:
    """Whether the kernel of a `WEIGHTED` node adds products of neighbours in 16 bits."""
    groups = node.args[6] if len(node.args) > 6 else 1
    assert isinstance(groups, int)
    return abilities.pairs_in_16_bits and not (
        node.target is aten.conv2d.default and is_depthwise(tuple(weight.shape), groups)
    )


def quantize_weight(weight: Tensor, axis: int, *, in_pairs: bool = False) -> tuple[Tensor, Tensor]:
    """int8 of the weight's shape, and one scale for each index of `axis`.

    Args:
        weight: of a layer.
        axis: of the output channels.
        in_pairs: neighbouring weights add up to `PAIR_LIMIT` at the most.
    """
    others = [dim for dim in range(weight.ndim) if dim != axis]
    scales = weight.abs().amax(others) / WEIGHT_LIMIT
    if in_pairs:
        sums = np.abs(pair_sums(kernel_order(weight.detach().numpy(), axis))).max(1)
        scales = torch.maximum(scales, torch.from_numpy(sums) / _BELOW_PAIR_LIMIT)
    scales = scales.clamp(min=SMALLEST_SCALE)
    rounded = torch.round(weight / along(scales, axis, weight))
    return rounded.clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT).to(torch.int8), scales


def dequantize_weight(weight: Tensor, scales: Tensor, axis: int) -> Tensor:
    """The float weight that the int8 one stands for."""
    return weight * along(scales, axis, weight)


def along(scales: Tensor, axis: int, weight: Tensor) -> Tensor:
    """Scales in a shape that multiplies with the weight."""
    return scales.reshape([-1 if dim == axis else 1 for dim in range(weight.ndim)])
