"""CSA without im2col and col2im: strided slices, matrix products, one small batched product.

The reference unfolds 3x3 windows at stride 2 and folds them back. At stride 2 every input tap of
all windows is one strided slice of the padded map, and every output pixel belongs to at most four
windows, known from the parity of its row and column. So the unfold is nine slices, and the fold is
shifted sums of slices, one for each parity, interleaved again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.linear import frozen, linear
from export.rewrite.registry import register
from lvt.attention import CSA


def _pad_far(x: Tensor, rows: int, columns: int) -> Tensor:
    """Zero rows and columns after the last ones of an NHWC map."""
    return F.pad(x, (0, 0, 0, columns, 0, rows)) if rows or columns else x


def _extend_far(x: Tensor, rows: int, columns: int) -> Tensor:
    """Repeats the last row and column: their mean over 2x2 is then that of the existing pixels."""
    if columns:
        x = torch.cat([x, x[:, :, -1:]], dim=2)
    if rows:
        x = torch.cat([x, x[:, -1:]], dim=1)
    return x


class StridedCSA(nn.Module):
    """Eq. (4) as slices and products. NHWC in and out, any size."""

    def __init__(self, reference: CSA):
        super().__init__()
        self.heads = reference.heads
        # The mean over 2x2 pixels (1/4) and the attention scale go into the logits' matrix.
        scale = reference.scale
        self.attn = linear(reference.attn.weight * (scale / 4), reference.attn.bias * scale)
        taps, dim = reference.TAPS, reference.proj.in_features
        matrices = reference.weight.weight.reshape(taps, dim, dim).transpose(1, 2)
        self.tap_weights = nn.ParameterList(frozen(matrix) for matrix in matrices)  # (in, out)
        self.proj = linear(reference.proj.weight, reference.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        rows, columns = -(-height // 2), -(-width // 2)
        odd_row, odd_column = 2 * rows - height, 2 * columns - width
        heads, taps = self.heads, CSA.TAPS

        even = _extend_far(x, odd_row, odd_column)
        pooled = even[:, ::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, ::2] + even[:, 1::2, 1::2]
        alpha = self.attn(pooled).reshape(-1, heads, taps, taps).softmax(dim=-1)

        # Tap (ky, kx) of window (Y, X) is pixel (2Y + ky - 1, 2X + kx - 1).
        padded = F.pad(x, (0, 0, 1, odd_column, 1, odd_row))
        values = [
            padded[:, ky : ky + 2 * rows - 1 : 2, kx : kx + 2 * columns - 1 : 2].reshape(-1, dim)
            @ self.tap_weights[3 * ky + kx]
            for ky in range(3)
            for kx in range(3)
        ]
        value = torch.stack([v.reshape(-1, heads, dim // heads) for v in values], dim=2)
        out = alpha @ value  # (B*L, heads, i, d)
        out = out.unbind(dim=2)
        merged = _overlap_add([o.reshape(batch, rows, columns, dim) for o in out])
        return self.proj(merged[:, :height, :width])


def _overlap_add(taps: list[Tensor]) -> Tensor:
    """Adds nine window outputs (B, h, w, C) where 3x3 windows at stride 2 overlap: (B, 2h, 2w, C).

    Output pixels with even row and column lie in one window, with one odd coordinate in two, with
    both odd in four. Windows past the far border do not exist; their share is zero.
    """

    def from_right(tap: Tensor) -> Tensor:
        return _pad_far(tap[:, :, 1:], 0, 1)

    def from_below(tap: Tensor) -> Tensor:
        return _pad_far(tap[:, 1:], 1, 0)

    even_even = taps[4]
    even_odd = taps[5] + from_right(taps[3])
    odd_even = taps[7] + from_below(taps[1])
    odd_odd = taps[8] + from_right(taps[6]) + from_below(taps[2] + from_right(taps[0]))
    batch, rows, columns, dim = even_even.shape
    even_rows = torch.stack([even_even, even_odd], dim=3).reshape(batch, rows, 2 * columns, dim)
    odd_rows = torch.stack([odd_even, odd_odd], dim=3).reshape(batch, rows, 2 * columns, dim)
    return torch.stack([even_rows, odd_rows], dim=2).reshape(batch, 2 * rows, 2 * columns, dim)


@register(CSA, "onnxruntime")
def rewrite_csa(reference: CSA, _recipe: Recipe) -> nn.Module:
    return StridedCSA(reference)
