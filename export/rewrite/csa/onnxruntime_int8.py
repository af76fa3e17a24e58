"""CSA for ONNX Runtime in int8: attention apart, only 1x1 convolutions and data movement.

In int8, data movement is cheap, and pooling and strided convolutions are slow. So the map is first
split into four maps, by the parity of rows and columns. The logits, which are computed from means
over 2x2 pixels, are one convolution over all four maps. The values are one convolution over each.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.csa.tap_weights import TAPS, tap_weight, values_of_all_taps
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
        # The mean over 2x2 pixels: the four maps are concatenated, each with a quarter of the
        # weight.
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
        """The values W_j x_j of the nine taps, each (B, h, w, C)."""
        dim = parities[0].shape[-1]

        def conv(x: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
            return to_nhwc(F.conv2d(to_nchw(x), weight, padding=padding))

        return values_of_all_taps(
            even_even=conv(parities[0], self.even_even, (0, 0)),
            left_right=conv(parities[1], self.even_odd, (0, 1)),
            above_below=conv(parities[2], self.odd_even, (1, 0)),
            corners=conv(parities[3], self.odd_odd, (1, 1)),
            map_size=(rows, columns),
            dim=dim,
            row_axis=1,
            channel_axis=3,
        )


def _parities(x: Tensor) -> list[Tensor]:
    """The maps of (even, even), (even, odd), (odd, even) and (odd, odd) pixels of (B, H, W, C)."""
    return [x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]


@register((CSA, OutlookAttention), "onnxruntime_int8")
def rewrite_csa_for_onnxruntime_int8(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return Int8CSA(reference)
