"""Feature pyramid: projects the backbone's maps to one width and adds coarse maps to fine ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class NamedConv(nn.Module):
    """A convolution in the submodule `conv`, the name in official checkpoints. NCHW."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class FPN(nn.Module):
    """Feature pyramid network.

    Input: the four NCHW maps of the backbone. Output: P2 to P6, each (B, channels, H, W), at
    strides 4, 8, 16, 32 and 64 (rounded up). P6, every second pixel of P5, is for the RPN only.
    """

    def __init__(self, in_channels: Sequence[int], channels: int):
        super().__init__()
        self.lateral_convs = nn.ModuleList(
            NamedConv(width, channels, kernel=1) for width in in_channels
        )
        self.fpn_convs = nn.ModuleList(NamedConv(channels, channels, kernel=3) for _ in in_channels)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        merged = [conv(x) for conv, x in zip(self.lateral_convs, maps, strict=True)]
        for level in reversed(range(len(merged) - 1)):
            size = merged[level].shape[-2:]
            merged[level] = merged[level] + F.interpolate(merged[level + 1], size, mode="nearest")
        levels = [conv(x) for conv, x in zip(self.fpn_convs, merged, strict=True)]
        return (*levels, levels[-1][:, :, ::2, ::2])
