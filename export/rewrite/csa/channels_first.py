"""CSA with channels first: strided 1x1 convolutions in, one interleaving out, no window is copied.

Outlook Attention likewise, with one matrix where CSA has one a tap.

At stride 2, input tap (ky, kx) of all windows is every second pixel of the map, so it is a 1x1
convolution with stride 2. What differs between runtimes is whether taps that look at the same
pixels share one, the small product of attention and values, and how four maps are interleaved:
each form is a class of its own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.chunked_cat import chunked_cat
from export.rewrite.csa.windows import fold_taps, overlap_add, pad_to_even
from export.rewrite.linear import frozen, pointwise
from export.rewrite.registry import register
from lvt.attention import CSA, OutlookAttention, WindowAttention

TAPS = WindowAttention.TAPS


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
    """

    def __init__(self, reference: WindowAttention):
        super().__init__()
        self.heads = reference.heads
        scale = reference.scale
        self.attn = pointwise(reference.attn.weight * scale, reference.attn.bias * scale)
        self.proj = pointwise(reference.proj.weight, reference.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        logits = self.attn(self.average(pad_to_even(x, row_axis=2)))
        maps = self.mix(logits, self.values(x))
        if maps.shape[-2:] != (height, width):
            maps = maps[:, :, :height, :width]
        return self.proj(maps)

    def average(self, x: Tensor) -> Tensor:
        """The means over 2x2 pixels of a map of even sides."""
        return F.avg_pool2d(x, 2)

    def values(self, x: Tensor) -> list[Tensor]:
        """W_j x_j for the nine taps, each (B, C, h, w).

        The zero padding puts a pixel before the first and one after the last: what the near side
        of a window sees is the far side's map, one window on.
        """
        raise NotImplementedError

    def mix(self, logits: Tensor, values: list[Tensor]) -> Tensor:
        """Attention times values, windows added where they overlap.

        Args:
            logits: (B, heads*81, h, w).
            values: from `values`.

        Returns:
            (B, C, 2h, 2w).
        """
        raise NotImplementedError


class NeuralEngineCSA(ChannelsFirstCSA):
    """Sums of maps and a transposed convolution: nothing changes place."""

    def __init__(self, reference: WindowAttention):
        super().__init__(reference)
        # By the parity of row and column they look at. Odd ones are looked at from both sides.
        self.even_even = tap_weight(reference, 4)
        self.even_odd = tap_weight(reference, 3, 5)
        self.odd_even = tap_weight(reference, 1, 7)
        self.odd_odd = tap_weight(reference, 0, 2, 6, 8)
        self.interleave = InterleavingConvolution(reference.proj.weight)

    def values(self, x: Tensor) -> list[Tensor]:
        """One convolution for all taps that look at the same pixels."""
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

    def mix(self, logits: Tensor, values: list[Tensor]) -> Tensor:
        outs = mix_map_by_map(logits, values, self.heads)
        return self.interleave(torch.cat(overlap_add(outs, row_axis=2), dim=1))


class XnnpackCSA(ChannelsFirstCSA):
    """One batched product of a 9x9 matrix a window and head, between maps with channels last."""

    def __init__(self, reference: WindowAttention):
        super().__init__(reference)
        matrices = value_matrices(reference)[:, :, :, None, None]
        self.taps = nn.ParameterList(frozen(matrix) for matrix in matrices)

    def values(self, x: Tensor) -> list[Tensor]:
        """One convolution a tap: none is cut out of another's channels, which would be a copy."""
        rows, columns = (-(-side // 2) for side in x.shape[-2:])
        maps: dict[tuple[tuple[int, int], int], Tensor] = {}
        values = []
        for tap in range(TAPS):
            row, column = divmod(tap, 3)
            odd = (int(row != 1), int(column != 1))
            matrix = tap % len(self.taps)
            if (odd, matrix) not in maps:
                maps[odd, matrix] = F.conv2d(x, self.taps[matrix], stride=2, padding=odd)
            value = maps[odd, matrix]
            if odd[0]:
                first = int(row == 2)
                value = value[:, :, first : first + rows]
            if odd[1]:
                first = int(column == 2)
                value = value[:, :, :, first : first + columns]
            values.append(value)
        return values

    def alpha(self, logits: Tensor) -> Tensor:
        """The attention, (B*h*w*heads, 9, 9)."""
        return logits.permute(0, 2, 3, 1).reshape(-1, TAPS, TAPS).softmax(dim=-1)

    def mix(self, logits: Tensor, values: list[Tensor]) -> Tensor:
        batch, dim, rows, columns = values[0].shape
        windows, width = batch * rows * columns, dim // self.heads
        # Taps outermost: so they are joined and taken apart as whole pieces of memory.
        shape = (1, windows, self.heads, width)
        value = chunked_cat([value.permute(0, 2, 3, 1).reshape(shape) for value in values], axis=0)
        value = value.permute(1, 2, 0, 3).reshape(windows * self.heads, TAPS, width)
        out = torch.bmm(self.alpha(logits), value).reshape(windows, self.heads, TAPS, width)
        out = out.permute(2, 0, 1, 3)
        outs = [out[tap : tap + 1].reshape(batch, rows, columns, dim) for tap in range(TAPS)]
        return fold_taps(outs).permute(0, 3, 1, 2)


class XnnpackInt8CSA(XnnpackCSA):
    """Softmax as it is: `quantization` knows another form where ranges are known.

    The means are a depthwise convolution, since XNNPACK leaves TFLite's int8 pooling to plain
    kernels.
    """

    def __init__(self, reference: WindowAttention):
        super().__init__(reference)
        dim, like = reference.proj.in_features, reference.proj.weight
        self.quarter = frozen(like.new_full((dim, 1, 2, 2), 0.25))

    def average(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.quarter, stride=2, groups=x.shape[1])


class PoolingCSA(XnnpackCSA):
    """Softmax by pooling over taps: XNNPACK's own takes longer to begin a row than nine numbers.

    Logits come with the input tap outermost, so that each pooling window is a row of pixels.
    """

    def __init__(self, reference: WindowAttention):
        super().__init__(reference)
        channels = torch.arange(self.heads * TAPS * TAPS).reshape(self.heads, TAPS, TAPS)
        order = channels.permute(2, 0, 1).flatten()
        assert self.attn.bias is not None
        self.attn = pointwise(self.attn.weight.flatten(1)[order], self.attn.bias[order])

    def alpha(self, logits: Tensor) -> Tensor:
        logits = logits.permute(0, 2, 3, 1).reshape(1, -1, TAPS, self.heads * TAPS)
        logits = logits.permute(0, 3, 1, 2)  # (1, heads*i, B*h*w, j)
        weights = (logits - F.max_pool2d(logits, (1, TAPS))).exp()
        # A whole number would be cast anew in each run, outside of XNNPACK.
        alpha = weights / (F.avg_pool2d(weights, (1, TAPS)) * float(TAPS))
        return alpha.permute(0, 2, 1, 3).reshape(-1, TAPS, TAPS)


@register((CSA, OutlookAttention), "xnnpack")
def rewrite_csa_for_xnnpack(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return PoolingCSA(reference)


@register((CSA, OutlookAttention), "xnnpack_int8")
def rewrite_csa_for_xnnpack_int8(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return XnnpackInt8CSA(reference)


@register((CSA, OutlookAttention), "neural_engine")
def rewrite_csa_for_neural_engine(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return NeuralEngineCSA(reference)
