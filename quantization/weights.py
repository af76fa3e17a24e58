"""int8 weights: symmetric, with one scale for each output channel.

On some processors a runtime's kernels add two neighbouring products in 16 bits
(`export.targets.onnx.saturation` describes them). There, the scale of a channel is wide enough that
no two neighbouring weights can overflow. That costs most channels a third of their levels (2.5 dB
of the weights' own SQNR of 43 dB); weights of 7 bits would cost all of them half (6 dB).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, fx

from export.targets.onnx.saturation import PAIR_LIMIT, is_depthwise, kernel_order, pair_sums
from quantization.backend_config import BackendConfig
from quantization.graph import aten
from quantization.quant_params import MIN_SCALE

WEIGHT_LIMIT = 127
"""Weights range from -127 to 127: integer kernels take no zero point for them, and no -128."""

_BELOW_PAIR_LIMIT = PAIR_LIMIT * (1 - 2.0**-20)
"""Two values whose sum is less than a whole number do not exceed it once both are rounded."""


def channel_axis(node: fx.Node) -> int:
    """Axis of the output channels in the weight of a node of `WEIGHTED_OPS`."""
    return int(node.target in (aten.conv_transpose2d.input, aten.matmul.default))


def adds_in_pairs(node: fx.Node, weight: Tensor, backend_config: BackendConfig) -> bool:
    """Whether the kernel of a node of `WEIGHTED_OPS` adds neighbouring products in 16 bits."""
    groups = node.args[6] if len(node.args) > 6 else 1
    assert isinstance(groups, int)
    return backend_config.pairs_in_16_bits and not (
        node.target is aten.conv2d.default and is_depthwise(tuple(weight.shape), groups)
    )


def quantize_weight(weight: Tensor, axis: int, *, in_pairs: bool = False) -> tuple[Tensor, Tensor]:
    """The int8 weight, of the same shape, and one scale for each index of `axis`.

    Args:
        weight: of a layer.
        axis: of the output channels.
        in_pairs: limit the sum of two neighbouring weights to `PAIR_LIMIT`.
    """
    other_axes = [dim for dim in range(weight.ndim) if dim != axis]
    scales = weight.abs().amax(other_axes) / WEIGHT_LIMIT
    if in_pairs:
        sums = np.abs(pair_sums(kernel_order(weight.detach().numpy(), axis))).max(1)
        scales = torch.maximum(scales, torch.from_numpy(sums) / _BELOW_PAIR_LIMIT)
    scales = scales.clamp(min=MIN_SCALE)
    rounded = torch.round(weight / _along_axis(scales, axis, weight))
    return rounded.clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT).to(torch.int8), scales


def dequantize_weight(weight: Tensor, scales: Tensor, axis: int) -> Tensor:
    """The float weight that an int8 weight stands for."""
    return weight * _along_axis(scales, axis, weight)


def _along_axis(scales: Tensor, axis: int, weight: Tensor) -> Tensor:
    """The scales in a shape that broadcasts over the weight."""
    return scales.reshape([-1 if dim == axis else 1 for dim in range(weight.ndim)])
