"""CSA for the Neural Engine: sums of maps and a transposed convolution; no pixel is copied."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.csa.channels_first import ChannelsFirstCSA
from export.rewrite.csa.tap_weights import TAPS, tap_weight, values_of_all_taps
from export.rewrite.csa.windows import overlap_add
from export.rewrite.linear import frozen
from export.rewrite.registry import register
from lvt.attention import CSA, OutlookAttention, WindowAttention


class InterleavingConvolution(nn.Module):
    """Interleaves four maps with a transposed convolution of ones.

    For engines that are slow at moving pixels and fast at convolutions.
    """

    def __init__(self, like: Tensor):
        """Takes the number of channels and the dtype from `like`, (C, ...)."""
        super().__init__()
        channels = len(like)
        weight = like.new_zeros(4, channels, channels, 2, 2)
        for parity in range(4):
            weight[parity, :, :, parity // 2, parity % 2] = torch.eye(channels)
        self.weight = frozen(weight.flatten(0, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return F.conv_transpose2d(maps, self.weight, stride=2)


class NeuralEngineCSA(ChannelsFirstCSA):
    """One convolution for all taps that look at the same pixels; attention map by map."""

    def __init__(self, reference: WindowAttention):
        super().__init__(reference)
        # By the parity of the row and the column of the pixels that the taps look at.
        self.even_even = tap_weight(reference, 4)
        self.even_odd = tap_weight(reference, 3, 5)
        self.odd_even = tap_weight(reference, 1, 7)
        self.odd_odd = tap_weight(reference, 0, 2, 6, 8)
        self.interleave = InterleavingConvolution(reference.proj.weight)

    def values(self, x: Tensor) -> list[Tensor]:
        """See `ChannelsFirstCSA.values`."""
        dim = x.shape[1]
        even_even = F.conv2d(x, self.even_even, stride=2)
        left_right = F.conv2d(x, self.even_odd, stride=2, padding=(0, 1))
        above_below = F.conv2d(x, self.odd_even, stride=2, padding=(1, 0))
        corners = F.conv2d(x, self.odd_odd, stride=2, padding=(1, 1))
        rows, columns = even_even.shape[-2:]
        return values_of_all_taps(
            even_even,
            left_right,
            above_below,
            corners,
            map_size=(rows, columns),
            dim=dim,
            row_axis=2,
            channel_axis=1,
        )

    def mix(self, logits: Tensor, values: list[Tensor]) -> Tensor:
        """See `ChannelsFirstCSA.mix`."""
        outs = mix_map_by_map(logits, values, self.heads)
        return self.interleave(torch.cat(overlap_add(outs, row_axis=2), dim=1))


def mix_map_by_map(logits: Tensor, values: list[Tensor], heads: int) -> list[Tensor]:
    """Eq. (4) as sums of maps, each multiplied by its own plane of attention; nothing is moved.

    Args:
        logits: (B, heads*81, h, w).
        values: of the nine taps, each (B, C, h, w).
        heads: number of attention heads.

    Returns:
        The window outputs of the nine output taps, each (B, C, h, w).
    """
    width = values[0].shape[1] // heads
    by_head = zip(*(value.split(width, dim=1) for value in values), strict=True)
    windows = logits.split(TAPS, dim=1)  # by head, then by output tap
    outs: list[list[Tensor]] = [[] for _ in range(TAPS)]
    for head, head_values in enumerate(by_head):
        for tap in range(TAPS):
            alpha = windows[head * TAPS + tap].softmax(dim=1).split(1, dim=1)
            pairs = zip(alpha, head_values, strict=True)
            first, *others = (plane * value for plane, value in pairs)
            for other in others:
                first = first + other
            outs[tap].append(first)
    return [torch.cat(parts, dim=1) for parts in outs]


@register((CSA, OutlookAttention), "neural_engine")
def rewrite_csa_for_neural_engine(reference: WindowAttention, _recipe: Recipe) -> nn.Module:
    return NeuralEngineCSA(reference)
