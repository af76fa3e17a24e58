"""Stem and downsampling of mobile VOLO-D0, the base of the ablation (section 5.2).

The paper changes only the layers and widths of VOLO: a stem of four convolutions to stride 8, one
downsampling after the first stage, and learned positions. The paper does not say how positions,
learned for 224x224, are adapted to other sizes; here they are resized bicubically.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvt.layers import ConvBNReLU, to_nchw, to_nhwc

STEM_DIM = 64
POSITION_GRID = (14, 14)
"""Size of the learned positions: a 224x224 image at stride 16."""


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
    """2x2 convolution at stride 2, then addition of the positions. NHWC in and out.

    An odd last row or column is ignored.
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
    """Positions (1, C, rows, columns) resized to `size` (height, width), if they differ."""
    if tuple(positions.shape[-2:]) == size:
        return positions
    return F.interpolate(positions, size=size, mode="bicubic", align_corners=False)
