"""CSA with channels first: strided 1x1 convolutions in, one interleaving out, no window is copied.

Outlook Attention likewise, with one matrix where CSA has one a tap.

At stride 2, input tap (ky, kx) of all windows is every second pixel of the map, so it is a 1x1
convolution with stride 2; taps that look at the same pixels share one. What differs between
runtimes is the small product of attention and values, and how four maps are interleaved; each form
is a function of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.linear import frozen, pointwise
from export.rewrite.registry import register
from export.rewrite.windows import extend_far, interleave_parities, overlap_add
from lvt.attention import CSA, OutlookAttention, WindowAttention

Mix = Callable[[Tensor, list[Tensor], int], list[Tensor]]
"""(logits (B, heads*81, h, w), nine value maps (B, C, h, w), heads) -> nine output maps."""
Interleave = Callable[[Tensor], Tensor]
"""Maps of the four parities, (B, 4*C, h, w) -> (B, C, 2h, 2w)."""

TAPS = WindowAttention.TAPS


def mix_in_batches(logits: Tensor, values: list[Tensor], heads: int) -> list[Tensor]:
    """Eq. (4) as one batched product of a 9x9 matrix a window and head."""
    batch, _, rows, columns = logits.shape
    dim = values[0].shape[1]
    windows = batch * rows * columns
    alpha = logits.permute(0, 2, 3, 1).reshape(windows * heads, TAPS, TAPS).softmax(dim=-1)
    # In two steps: XNNPACK joins five tensors at most.
    rows_of_taps = [
        torch.cat(values[first : first + 3], dim=1)
        .permute(0, 2, 3, 1)
        .reshape(windows, 3, heads, dim // heads)
        for first in range(0, TAPS, 3)
    ]
    value = torch.cat(rows_of_taps, dim=1).permute(0, 2, 1, 3)
    value = value.reshape(windows * heads, TAPS, dim // heads)
    out = torch.bmm(alpha, value).reshape(windows, heads, TAPS, dim // heads)
    out = out.permute(0, 2, 1, 3).reshape(batch, rows, columns, TAPS * dim).permute(0, 3, 1, 2)
    return [out[:, tap * dim : (tap + 1) * dim] for tap in range(TAPS)]


def mix_map_by_map(logits: Tensor, values: list[Tensor], heads: int) -> list[Tensor]:
    """Eq. (4) as sums of maps, each times its own plane of attention: nothing changes place."""
    width = values[0].shape[1] // heads
    by_head = zip(*(value.split(width, dim=1) for value in values), strict=True)
    windows = logits.split(TAPS, dim=1)  # of each head, then output tap
    outs: list[list[Tensor]] = [[] for _ in range(TAPS)]
    for head, own in enumerate(by_head):
        for tap in range(TAPS):
            alpha = windows[head * TAPS + tap].softmax(dim=1).split(1, dim=1)
            first, *others = (plane * value for plane, value in zip(alpha, own, strict=True))
            for other in others:
                first = first + other
            outs[tap].append(first)
    return [torch.cat(parts, dim=1) for parts in outs]


def interleave_rows(maps: Tensor) -> Tensor:
    """By joining rows in channel-last order."""
    channels = maps.shape[1]
    pixels = maps.permute(0, 2, 3, 1)
    joined = interleave_parities(pixels[..., : channels // 2], pixels[..., channels // 2 :])
    return joined.permute(0, 3, 1, 2)


class InterleavingConvolution(nn.Module):
    """A transposed convolution with ones, for engines that move no pixels but convolve fast."""

    def __init__(self, like: Tensor):
        """Takes the channels and the type of `like`, (C, ...)."""
        super().__init__()
        channels = len(like)
        weight = like.new_zeros(4, channels, channels, 2, 2)
        for parity in range(4):
            weight[parity, :, :, parity // 2, parity % 2] = torch.eye(channels)
        self.weight = frozen(weight.flatten(0, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return F.conv_transpose2d(maps, self.weight, stride=2)


def value_matrices(reference: WindowAttention) -> Tensor:
    """The taps' matrices, (9, out, in); where they share one, (1, out, in)."""
    dim = reference.proj.in_features
    if isinstance(reference, OutlookAttention):
        return reference.v.weight[None]
    assert isinstance(reference, CSA)
    return reference.weight.weight.reshape(TAPS, dim, dim)


def tap_weight(reference: WindowAttention, *taps: int) -> nn.Parameter:
    """The 1x1 convolution of the values that some taps take, one after the other.

    One for all of them where they share a matrix; `values_of_tap` knows.
    """
    matrices = value_matrices(reference)
    own = [matrices[tap] for tap in taps] if len(matrices) > 1 else [matrices[0]]
    return frozen(torch.cat(own)[:, :, None, None])


def values_of_tap(values: Tensor, place: int, dim: int, axis: int) -> Tensor:
    """The values of one of the taps that a `tap_weight` was made for, by its place among them."""
    if values.shape[axis] == dim:
        return values
    own = slice(place * dim, (place + 1) * dim)  # coremltools does not take such a `narrow`
    return values[(*[slice(None)] * axis, own)]


class ChannelsFirstCSA(nn.Module):
    """Eq. (4), also of Outlook Attention. NCHW in and out, any size.

    Args:
        reference: the trained module.
        mix: the form of the product.
        interleave: the form of the interleaving.
    """

    def __init__(self, reference: WindowAttention, mix: Mix, interleave: Interleave):
        super().__init__()
        self.heads, self.mix, self.interleave = reference.heads, mix, interleave
        scale = reference.scale
        self.attn = pointwise(reference.attn.weight * scale, reference.attn.bias * scale)
        # By the parity of row and column they look at. Odd ones are looked at from both sides.
        self.even_even = tap_weight(reference, 4)
        self.even_odd = tap_weight(reference, 3, 5)
        self.odd_even = tap_weight(reference, 1, 7)
        self.odd_odd = tap_weight(reference, 0, 2, 6, 8)
        self.proj = pointwise(reference.proj.weight, reference.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        rows, columns = -(-height // 2), -(-width // 2)
        logits = self.attn(F.avg_pool2d(extend_far(x, row_axis=2), 2))
        outs = self.mix(logits, self.values(x), self.heads)
        maps = self.interleave(torch.cat(overlap_add(outs, row_axis=2), dim=1))
        if (2 * rows, 2 * columns) != (height, width):
            maps = maps[:, :, :height, :width]
        return self.proj(maps)

    def values(self, x: Tensor) -> list[Tensor]:
        """W_j x_j for the nine taps, each (B, C, h, w).

        The zero padding puts a pixel before the first and one after the last: what the near side
        of a window sees is the far side's map, one window on.
        """
        dim = x.shape[1]
        even_even = F.conv2d(x, self.even_even, stride=2)
        left_right = F.conv2d(x, self.even_odd, stride=2, padding=(0, 1))
        above_below = F.conv2d(x, self.odd_even, stride=2, padding=(1, 0))
        corners = F.conv2d(x, self.odd_odd, stride=2, padding=(1, 1))
        rows, columns = even_even.shape[-2:]
        near_row, far_row = slice(0, rows), slice(1, rows + 1)
        near_column, far_column = slice(0, columns), slice(1, columns + 1)

        def tap(values: Tensor, place: int) -> Tensor:
            return values_of_tap(values, place, dim, axis=1)

        return [
            tap(corners, 0)[:, :, near_row, near_column],
            tap(above_below, 0)[:, :, near_row],
            tap(corners, 1)[:, :, near_row, far_column],
            tap(left_right, 0)[:, :, :, near_column],
            even_even,
            tap(left_right, 1)[:, :, :, far_column],
            tap(corners, 2)[:, :, far_row, near_column],
            tap(above_below, 1)[:, :, far_row],
            tap(corners, 3)[:, :, far_row, far_column],
        ]


@register((CSA, OutlookAttention), "xnnpack")
def rewrite_csa_for_xnnpack(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return ChannelsFirstCSA(reference, mix_in_batches, interleave_rows)


@register((CSA, OutlookAttention), "neural_engine")
def rewrite_csa_for_neural_engine(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    interleave = InterleavingConvolution(reference.proj.weight)
    return ChannelsFirstCSA(reference, mix_map_by_map, interleave)
