"""Anchors: the reference boxes of the RPN."""

from __future__ import annotations

import torch
from torch import Tensor

from lvt.panoptic.config import AnchorConfig


def base_anchors(stride: int, config: AnchorConfig) -> Tensor:
    """The anchors centred on the origin, (ratios, 4) as x1, y1, x2, y2 in network pixels."""
    side = config.scale * stride
    root = torch.tensor(config.ratios).sqrt()
    half = torch.stack([side / root, side * root], dim=1) / 2  # (ratios, 2) as width, height
    return torch.cat([-half, half], dim=1)


def grid_anchors(size: tuple[int, int], stride: int, config: AnchorConfig) -> Tensor:
    """Anchors of a level of `size` (height, width), (height*width*ratios, 4) in network pixels.

    Order: rows, columns, ratios. Centres are multiples of the stride, without a half-cell offset;
    anchors are neither rounded nor clipped.
    """
    height, width = size
    y, x = torch.meshgrid(
        torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij"
    )
    centres = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (centres + base_anchors(stride, config)).reshape(-1, 4)
