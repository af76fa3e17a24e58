"""Semantic segmentation: LVT with the SegFormer MLP decoder (section 4.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvt.backbone import LVT
from lvt.config import LVTConfig
from lvt.layers import ConvBNReLU

DECODER_DIM = 256
"""Width of the decoder in the official model."""


def resize_bilinear(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of (B, C, H, W) to `size` (half-pixel centres, no antialiasing)."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def logits_at_original_size(
    logits: Tensor,
    network_size: tuple[int, int],
    content_size: tuple[int, int],
    original_size: tuple[int, int],
) -> Tensor:
    """Logits (B, K, H, W) at the size of the original picture, as in the official evaluation.

    They are resized bilinearly to the network's input, cropped to the part without padding, and
    resized again.

    Args:
        logits: (B, K, h, w), at the size of the first stage's map.
        network_size: (height, width) of the network's input.
        content_size: (height, width) of the part of the input that is not padding.
        original_size: (height, width) of the original picture.
    """
    rows, columns = content_size
    content = resize_bilinear(logits, network_size)[:, :, :rows, :columns]
    # A resize to the same size would change nothing, but take time.
    return content if content_size == original_size else resize_bilinear(content, original_size)


class LevelProjection(nn.Module):
    """Projects a feature level (B, C, H, W) to tokens of the decoder's width (B, H*W, D)."""

    def __init__(self, in_channels: int, dim: int):
        super().__init__()
        self.proj = nn.Linear(in_channels, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x.flatten(2).transpose(1, 2))


class SegFormerHead(nn.Module):
    """All-MLP decoder: project the levels, resize them to one size, concatenate, fuse, predict.

    Input: the four NCHW maps of the backbone. Output: logits (B, classes, h, w), as large as the
    first map (stride 4; stride 8 for VOLO).
    """

    def __init__(self, dims: tuple[int, ...], classes: int, dim: int = DECODER_DIM):
        super().__init__()
        self.linear_c4 = LevelProjection(dims[3], dim)
        self.linear_c3 = LevelProjection(dims[2], dim)
        self.linear_c2 = LevelProjection(dims[1], dim)
        self.linear_c1 = LevelProjection(dims[0], dim)
        self.linear_fuse = ConvBNReLU(4 * dim, dim)
        self.linear_pred = nn.Conv2d(dim, classes, 1)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        c1, c2, c3, c4 = maps
        size = (c1.shape[-2], c1.shape[-1])
        levels = [
            resize_bilinear(project(x).transpose(1, 2).unflatten(2, x.shape[-2:]), size)
            for project, x in (
                (self.linear_c4, c4),  # deepest first, the order of the official weights
                (self.linear_c3, c3),
                (self.linear_c2, c2),
                (self.linear_c1, c1),
            )
        ]
        return self.linear_pred(self.linear_fuse(torch.cat(levels, dim=1)))


class LVTSegFormer(nn.Module):
    """Image (B, 3, H, W) -> logits (B, classes, h, w), as large as the backbone's first map."""

    def __init__(self, config: LVTConfig, classes: int, decoder_dim: int = DECODER_DIM):
        super().__init__()
        self.backbone = LVT(config)
        self.decode_head = SegFormerHead(config.dims, classes, decoder_dim)

    def forward(self, image: Tensor) -> Tensor:
        return self.decode_head(self.backbone(image))
