"""CSA for NPUs with matrix units: convolutions, one softmax, and nine products of maps.

All taps are moved by convolutions whose weights are zero except for one tap. That multiplies with
zeros, which such engines do faster than they slice, pad and interleave; and in integers, sums
inside a convolution are not rounded.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.csa.tap_weights import TAPS, value_matrices
from export.rewrite.csa.windows import pad_to_even
from export.rewrite.linear import frozen, pointwise
from export.rewrite.registry import register
from lvt.attention import CSA, OutlookAttention, WindowAttention
from lvt.layers import to_nchw, to_nhwc

_SIDE = WindowAttention.KERNEL


class NpuCSA(nn.Module):
    """Eq. (3) and (4), also of Outlook Attention. NCHW in and out, any size."""

    def __init__(self, reference: WindowAttention):
        super().__init__()
        self.heads = reference.heads
        self.attn = self._attn_weight(reference)
        self.attn_bias = frozen(_by_output_tap(reference.attn.bias * reference.scale, self.heads))
        self.values = _values_weight(reference)
        dim = reference.proj.in_features
        member = torch.arange(dim) // (dim // self.heads)
        # Channel j*C + c of the values belongs to tap j and to the head of c.
        taps = torch.arange(TAPS).repeat_interleave(dim)
        planes = member.repeat(TAPS) * TAPS + taps
        spread = F.one_hot(planes, self.heads * TAPS).to(reference.proj.weight.dtype)
        self.spread = pointwise(spread)
        self.sum = pointwise(torch.eye(dim, dtype=spread.dtype).repeat(1, TAPS))
        self.fold = _fold_weight(reference.proj.weight)
        self.fold_bias = frozen(reference.proj.bias)

    @staticmethod
    def _attn_weight(reference: WindowAttention) -> nn.Parameter:
        """Eq. (3) on means over 2x2 pixels, as one convolution with stride 2."""
        scaled = _by_output_tap(reference.attn.weight * reference.scale, reference.heads)
        return frozen((scaled / 4)[:, :, None, None].expand(-1, -1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        logits = F.conv2d(pad_to_even(x, row_axis=2), self.attn, self.attn_bias, stride=2)
        values = F.conv2d(x, self.values, stride=2, padding=1)  # (B, 9*C, h, w)
        alpha, planes = self.alpha(logits), self.heads * TAPS
        outs = [
            self.sum(self.spread(alpha[:, tap * planes : (tap + 1) * planes]) * values)
            for tap in range(TAPS)
        ]
        maps = F.conv_transpose2d(
            torch.cat(outs, dim=1),
            self.fold,
            self.fold_bias,
            stride=2,
            padding=1,
            output_padding=1,
        )
        return maps[:, :, :height, :width] if maps.shape[-2:] != (height, width) else maps

    def alpha(self, logits: Tensor) -> Tensor:
        """The attention, (B, 9*heads*9, h, w): output tap, head, input tap."""
        batch, channels, rows, columns = logits.shape
        logits = to_nhwc(logits).reshape(batch, rows * columns, channels // TAPS, TAPS)
        return to_nchw(logits.softmax(dim=-1).reshape(batch, rows, columns, channels))


def _by_output_tap(parameter: Tensor, heads: int) -> Tensor:
    """Rows (head, output tap, input tap) in the order output tap, head, input tap."""
    return parameter.unflatten(0, (heads, TAPS, TAPS)).transpose(0, 1).flatten(0, 2)


def _values_weight(reference: WindowAttention) -> nn.Parameter:
    """W_j of Eq. (2) for all taps: a 3x3 convolution to 9*C channels; each sees one tap."""
    matrices = value_matrices(reference)
    _, out_channels, in_channels = matrices.shape
    weight = matrices.new_zeros(TAPS, out_channels, in_channels, TAPS)
    for tap in range(TAPS):
        weight[tap, :, :, tap] = matrices[tap % len(matrices)]
    return frozen(weight.reshape(-1, in_channels, _SIDE, _SIDE))


def _fold_weight(proj: Tensor) -> nn.Parameter:
    """Overlap-add and projection: a transposed 3x3 convolution from the outputs of nine taps."""
    out_channels, in_channels = proj.shape
    weight = proj.new_zeros(TAPS, in_channels, out_channels, TAPS)
    for tap in range(TAPS):
        weight[tap, :, :, tap] = proj.T
    return frozen(weight.reshape(-1, out_channels, _SIDE, _SIDE))


@register((CSA, OutlookAttention), "npu")
def rewrite_csa_for_npu(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return NpuCSA(reference)
