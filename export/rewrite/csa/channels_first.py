"""What the channels-first recipes of CSA share, and Outlook Attention with it.

At stride 2, input tap (ky, kx) of all windows is every second pixel of the map, so its values are a
1x1 convolution with stride 2. Recipes differ in three places: whether taps that look at the same
pixels share a convolution, how attention and values are multiplied, and how four maps of window
outputs are interleaved.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from export.rewrite.csa.windows import pad_to_even
from export.rewrite.linear import pointwise
from lvt.attention import WindowAttention


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
        """The means over 2x2 pixels of a map with even sides."""
        return F.avg_pool2d(x, 2)

    def values(self, x: Tensor) -> list[Tensor]:
        """The values W_j x_j of the nine taps, each (B, C, h, w)."""
        raise NotImplementedError

    def mix(self, logits: Tensor, values: list[Tensor]) -> Tensor:
        """Multiplies attention and values, and adds the windows where they overlap.

        Args:
            logits: (B, heads*81, h, w).
            values: from `values`.

        Returns:
            (B, C, 2h, 2w).
        """
        raise NotImplementedError
