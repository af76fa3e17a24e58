"""CSA without im2col and col2im: strided slices, matrix products, one small batched product.

The reference unfolds 3x3 windows at stride 2 and folds them back. At stride 2, each input tap of
all windows is one strided slice of the padded map, so the unfold is nine slices. An output pixel
belongs to at most four windows, which follow from the parity of its row and column. So the fold is
four sums of shifted maps, one for each parity, which are interleaved afterwards.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.csa.tap_weights import TAPS, value_matrices
from export.rewrite.csa.windows import overlap_add, pad_to_even
from export.rewrite.linear import channel_groups, frozen, linear
from export.rewrite.registry import register, register_block_pass
from lvt.attention import CSA, OutlookAttention, WindowAttention
from lvt.backbone import Block

MAX_LOGIT = 8.0
"""Bound below which the softmax needs no row maximum: 9 * exp(8) and its inverse fit float16."""


class RowSoftmax(nn.Module):
    """Softmax over the input taps j: (windows, heads*i*j) -> (windows, heads, i, j)."""

    def __init__(self, heads: int):
        super().__init__()
        self.shape = (-1, heads, TAPS, TAPS)

    def forward(self, logits: Tensor) -> Tensor:
        return logits.reshape(self.shape).softmax(dim=-1)


class BoundedSoftmax(RowSoftmax):
    """`RowSoftmax` without the row maximum, for logits of at most `MAX_LOGIT`.

    The maximum is subtracted only to keep exp() from overflowing. Two matrix products sum each row
    and spread the sum over its taps: ONNX Runtime's softmax has a cost per row that is large for
    rows of nine elements.
    """

    def __init__(self, heads: int, like: Tensor):
        super().__init__(heads)
        rows = channel_groups(heads * TAPS**2, TAPS).to(like.dtype)
        self.sum = frozen(rows)
        self.spread = frozen(rows.T)

    def forward(self, logits: Tensor) -> Tensor:
        weights = logits.exp()
        return (weights / (weights @ self.sum @ self.spread)).reshape(self.shape)


class StridedCSA(nn.Module):
    """Eq. (4), also of Outlook Attention, as slices and products. NHWC in and out, any size."""

    def __init__(self, reference: WindowAttention):
        super().__init__()
        self.heads = reference.heads
        # The mean over 2x2 pixels (1/4) and the attention scale are folded into the matrix.
        scale = reference.scale
        self.attn = linear(reference.attn.weight * (scale / 4), reference.attn.bias * scale)
        self.softmax = RowSoftmax(self.heads)
        matrices = value_matrices(reference).transpose(1, 2)
        self.tap_weights = nn.ParameterList(frozen(matrix) for matrix in matrices)  # (in, out)
        self.proj = linear(reference.proj.weight, reference.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        rows, columns = -(-height // 2), -(-width // 2)
        odd_row, odd_column = 2 * rows - height, 2 * columns - width
        heads = self.heads

        even = pad_to_even(x, row_axis=1)
        pooled = even[:, ::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, ::2] + even[:, 1::2, 1::2]
        alpha = self.softmax(self.attn(pooled).reshape(-1, heads * TAPS**2))

        # If the taps share a matrix, one product over the whole map computes all values.
        shared = len(self.tap_weights) == 1
        if shared:
            x = x @ self.tap_weights[0]
        # Tap (ky, kx) of window (Y, X) is pixel (2Y + ky - 1, 2X + kx - 1).
        padded = F.pad(x, (0, 0, 1, odd_column, 1, odd_row))
        taps = [
            padded[:, ky : ky + 2 * rows - 1 : 2, kx : kx + 2 * columns - 1 : 2].reshape(-1, dim)
            for ky in range(3)
            for kx in range(3)
        ]
        values = taps if shared else [t @ w for t, w in zip(taps, self.tap_weights, strict=True)]
        value = torch.stack([v.reshape(-1, heads, dim // heads) for v in values], dim=2)
        out = alpha @ value  # (B*L, heads, i, d)
        out = out.unbind(dim=2)
        maps = overlap_add([o.reshape(batch, rows, columns, dim) for o in out], row_axis=1)
        merged = _interleave(*maps)
        return self.proj(merged[:, :height, :width])


@torch.no_grad()
def logit_bound(norm: nn.LayerNorm, attention: WindowAttention) -> float:
    """Upper bound on the magnitude of the logits of Eq. (3), for any input of `norm`.

    Before the affine part of LayerNorm, a pixel of C channels sums to zero and has a norm of at
    most sqrt(C). The same holds for the mean of four pixels.
    """
    weight = attention.attn.weight.double() * attention.scale
    scaled = weight * norm.weight
    across = scaled - scaled.mean(dim=1, keepdim=True)
    constant = weight @ norm.bias.double() + attention.attn.bias * attention.scale
    reach = across.norm(dim=1) * math.sqrt(weight.shape[1])
    return float((reach + constant.abs()).max())


def _interleave(even_even: Tensor, even_odd: Tensor, odd_even: Tensor, odd_odd: Tensor) -> Tensor:
    """Interleaves four maps (B, h, w, C) to one, (B, 2h, 2w, C)."""
    batch, rows, columns, dim = even_even.shape
    even_rows = torch.stack([even_even, even_odd], dim=3).reshape(batch, rows, 2 * columns, dim)
    odd_rows = torch.stack([odd_even, odd_odd], dim=3).reshape(batch, rows, 2 * columns, dim)
    return torch.stack([even_rows, odd_rows], dim=2).reshape(batch, 2 * rows, 2 * columns, dim)


@register((CSA, OutlookAttention), "onnxruntime")
def rewrite_csa(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return StridedCSA(reference)


@register_block_pass(Block, "onnxruntime")
def use_bounded_softmax(reference: Block, block: nn.Module) -> None:
    """Uses `BoundedSoftmax` if the LayerNorm of the block bounds the logits of its CSA."""
    attention, rewritten = reference.attn, block.attn
    if (
        isinstance(rewritten, StridedCSA)
        and isinstance(attention, WindowAttention)
        and logit_bound(reference.norm1, attention) <= MAX_LOGIT
    ):
        rewritten.softmax = BoundedSoftmax(rewritten.heads, rewritten.attn.weight)
