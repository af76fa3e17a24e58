"""What stands around the attentions of mobile VOLO-D0, the base of the ablation (section 5.2).

The paper keeps VOLO's settings but for layers and widths: a stem of four convolutions to stride 8,
one halving between the first stage and the others, and learned positions. Its figures leave open
how the positions, learned for 224x224, fit other sizes; here they are resized, bicubically.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvt.layers import ConvBNReLU, to_nchw, to_nhwc

STEM_DIM = 64
POSITION_GRID = (14, 14)
"""224x224 at stride 16."""


class ConvStem(nn.Module):
    """Image (B, 3, H, W) -> (B, h, w, dim) at stride 8.

    Convolutions of 7x7 at stride 2, twice 3x3, and 4x4 at stride 4 without padding.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.convs = nn.Sequential(
            ConvBNReLU(3, STEM_DIM, kernel=7, stride=2),
            ConvBNReLU(STEM_DIM, STEM_DIM, kernel=3),
            ConvBNReLU(STEM_DIM, STEM_DIM, kernel=3),
        )
        self.proj = nn.Conv2d(STEM_DIM, dim, 4, stride=4)

    def forward(self, image: Tensor) -> Tensor:
        return to_nhwc(self.proj(self.convs(image)))


class PositionedEmbed(nn.Module):
    """Halves the sides (2x2 convolution at stride 2) and adds the positions. NHWC in and out.

    An odd last row or column is left out.
    """

    def __init__(self, in_channels: int, dim: int):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, 2, stride=2)
        self.positions = nn.Parameter(torch.empty(1, dim, *POSITION_GRID))
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(to_nchw(x))
        return to_nhwc(x + resize_positions(self.positions, (x.shape[-2], x.shape[-1])))


def resize_positions(positions: Tensor, size: tuple[int, int]) -> Tensor:
    """Positions (1, C, rows, columns) for a map of `size`; themselves where they fit it."""
    if tuple(positions.shape[-2:]) == size:
        return positions
    return F.interpolate(positions, size=size, mode="bicubic", align_corners=False)
