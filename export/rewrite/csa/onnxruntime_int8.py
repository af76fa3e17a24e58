"""CSA for int8 in ONNX Runtime: everything but attention itself is 1x1 convolutions and moves.

Moves of 8-bit values cost little, pooling and strided convolutions of them cost much. So the map
is first taken apart into those of even and odd rows and columns. Logits, of the mean over 2x2
pixels, are one convolution over all four; the values are one over each.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.csa.channels_first import TAPS, tap_weight, values_of_tap
from export.rewrite.csa.windows import fold_taps, pad_to_even
from export.rewrite.linear import pointwise
from export.rewrite.registry import register
from lvt.attention import CSA, OutlookAttention, WindowAttention
from lvt.layers import to_nchw, to_nhwc


class Int8CSA(nn.Module):
    """Eq. (4), also of Outlook Attention. NHWC in and out, any size."""

    def __init__(self, reference: WindowAttention):
        super().__init__()
        self.heads = reference.heads
        scale = reference.scale
        # The mean of four pixels is the sum over four maps with a quarter of the weight.
        weight = (reference.attn.weight * (scale / 4)).repeat(1, 4)
        self.attn = pointwise(weight, reference.attn.bias * scale)
        self.even_even = tap_weight(reference, 4)
        self.even_odd = tap_weight(reference, 3, 5)
        self.odd_even = tap_weight(reference, 1, 7)
        self.odd_odd = tap_weight(reference, 0, 2, 6, 8)
        self.proj = pointwise(reference.proj.weight, reference.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        rows, columns, heads = -(-height // 2), -(-width // 2), self.heads
        windows = batch * rows * columns

        parities = averaged = _parities(x)
        if (2 * rows, 2 * columns) != (height, width):
            averaged = _parities(pad_to_even(x, row_axis=1))
            parities = _parities(F.pad(x, (0, 0, 0, 2 * columns - width, 0, 2 * rows - height)))
        logits = to_nhwc(self.attn(to_nchw(torch.cat(averaged, dim=-1))))
        alpha = logits.reshape(windows, heads, TAPS, TAPS).softmax(dim=-1)

        values = self.values(parities, rows, columns)
        value = torch.cat([v.reshape(windows, heads, 1, dim // heads) for v in values], dim=2)
        out = alpha @ value  # (B*L, heads, i, d)
        outs = [out[:, :, tap : tap + 1].reshape(batch, rows, columns, dim) for tap in range(TAPS)]
        merged = fold_taps(outs)
        if (2 * rows, 2 * columns) != (height, width):
            merged = merged[:, :height, :width]
        return to_nhwc(self.proj(to_nchw(merged)))

    def values(self, parities: list[Tensor], rows: int, columns: int) -> list[Tensor]:
        """W_j x_j for the nine taps, each (B, h, w, C).

        The zero padding puts a pixel before the first and one after the last: what the near side
        of a window sees is the far side's map, one window on.
        """
        dim = parities[0].shape[-1]

        def conv(x: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
            return to_nhwc(F.conv2d(to_nchw(x), weight, padding=padding))

        even_even = conv(parities[0], self.even_even, (0, 0))
        left_right = conv(parities[1], self.even_odd, (0, 1))
        above_below = conv(parities[2], self.odd_even, (1, 0))
        corners = conv(parities[3], self.odd_odd, (1, 1))
        near_row, far_row = slice(0, rows), slice(1, rows + 1)
        near_column, far_column = slice(0, columns), slice(1, columns + 1)

        def tap(values: Tensor, place: int) -> Tensor:
            return values_of_tap(values, place, dim, axis=3)

        return [
            tap(corners, 0)[:, near_row, near_column],
            tap(above_below, 0)[:, near_row],
            tap(corners, 1)[:, near_row, far_column],
            tap(left_right, 0)[:, :, near_column],
            even_even,
            tap(left_right, 1)[:, :, far_column],
            tap(corners, 2)[:, far_row, near_column],
            tap(above_below, 1)[:, far_row],
            tap(corners, 3)[:, far_row, far_column],
        ]


def _parities(x: Tensor) -> list[Tensor]:
    """(B, H, W, C) -> maps of (even, even), (even, odd), (odd, even), (odd, odd) pixels."""
    return [x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]


@register((CSA, OutlookAttention), "onnxruntime_int8")
def rewrite_csa_for_onnxruntime_int8(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return Int8CSA(reference)
