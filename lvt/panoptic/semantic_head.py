"""Semantic head: logits of the stuff classes and of "some thing" for every pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvt.panoptic.config import PanopticConfig
from lvt.semantic import resize_bilinear

SEMANTIC_LEVELS = 4
"""The head uses P2 to P5."""


class ConvGNReLU(nn.Module):
    """3x3 convolution without bias, GroupNorm, ReLU. NCHW."""

    def __init__(self, in_channels: int, out_channels: int, groups: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.gn = nn.GroupNorm(groups, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.gn(self.conv(x)))


class ConvUpsample(nn.Module):
    """Upsamples a level to stride 4: a convolution and a bilinear x2 resize, `doublings` times.

    P2, which has stride 4, gets one convolution without upsampling.
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

    The channels are the stuff classes, then one for all things. The sides of the image must be
    multiples of 32, so that the upsampled levels have the same size.
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
        """Sum of the upsampled levels, (B, semantic_channels, H/4, W/4)."""
        level_maps = [
            layers(level)
            for layers, level in zip(
                self.conv_upsample_layers, levels[:SEMANTIC_LEVELS], strict=True
            )
        ]
        return torch.stack(level_maps).sum(dim=0)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        return self.conv_logits(self.features(levels))
