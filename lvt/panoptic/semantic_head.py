"""Semantic branch: a label for every pixel, stuff classes and "some thing"."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvt.panoptic.config import PanopticConfig
from lvt.semantic import resize_bilinear

SEMANTIC_LEVELS = 4
"""The branch looks at P2 to P5."""


class ConvGNReLU(nn.Module):
    """3x3 convolution without bias, GroupNorm, ReLU. NCHW."""

    def __init__(self, in_channels: int, out_channels: int, groups: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.gn = nn.GroupNorm(groups, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.gn(self.conv(x)))


class ConvUpsample(nn.Module):
    """Brings a level to stride 4: convolution, then x2 bilinear, `doublings` times.

    P2 is there already: it gets one convolution and no upsampling.
    """

    def __init__(self, in_channels: int, out_channels: int, groups: int, doublings: int):
        super().__init__()
        self.doublings = doublings
        self.conv = nn.ModuleList(
            ConvGNReLU(out_channels if index else in_channels, out_channels, groups)
            for index in range(max(doublings, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.conv:
            x = conv(x)
            if self.doublings:
                x = resize_bilinear(x, (2 * x.shape[-2], 2 * x.shape[-1]))
        return x


class SemanticHead(nn.Module):
    """Levels P2 to P5 -> logits (B, stuff+1, H/4, W/4).

    Channels are the stuff classes, then one for all things. The image's sides must be multiples of
    32, or the upsampled levels do not meet.
    """

    def __init__(self, config: PanopticConfig):
        super().__init__()
        self.conv_upsample_layers = nn.ModuleList(
            ConvUpsample(
                config.channels, config.semantic_channels, config.semantic_groups, doublings
            )
            for doublings in range(SEMANTIC_LEVELS)
        )
        self.conv_logits = nn.Conv2d(config.semantic_channels, config.stuff + 1, 1)

    def features(self, levels: Sequence[Tensor]) -> Tensor:
        """The sum of the levels at stride 4, (B, semantic_channels, H/4, W/4)."""
        level_maps = [
            layers(level)
            for layers, level in zip(
                self.conv_upsample_layers, levels[:SEMANTIC_LEVELS], strict=True
            )
        ]
        return torch.stack(level_maps).sum(dim=0)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        return self.conv_logits(self.features(levels))
