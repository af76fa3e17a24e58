"""The box head (class and box deltas) and the mask head, which process one box at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvt.panoptic.config import PanopticConfig, RoIConfig
from lvt.panoptic.fpn import NamedConv
from lvt.panoptic.roi_align import roi_align

ROI_LEVELS = 4
"""The heads use P2 to P5; only the RPN uses P6."""


def roi_level(boxes: Tensor, finest_scale: float) -> Tensor:
    """The pyramid level of each box (N, 4), int64 (N,): from 0 for P2 to 3 for P5.

    The level grows by one with every doubling of sqrt(area) above `finest_scale` network pixels.
    """
    side = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
    level = (side / finest_scale + 1e-6).log2().floor()
    return level.clamp(0, ROI_LEVELS - 1).long()


def as_rois(boxes: Tensor, image: int = 0) -> Tensor:
    """Boxes (N, 4) of one image of a batch as RoIs (N, 5): index in the batch, box."""
    return torch.cat([boxes.new_full((len(boxes), 1), image), boxes], dim=1)


def extract(
    levels: Sequence[Tensor],
    rois: Tensor,
    size: int,
    strides: Sequence[int],
    finest_scale: float,
) -> Tensor:
    """RoIAlign of each box on the pyramid level for its size, (N, C, size, size).

    Args:
        levels: P2 to P5 or more, each (B, C, H, W).
        rois: (N, 5), index in the batch and box in network pixels.
        size: side of the output grid.
        strides: strides of the levels, in network pixels.
        finest_scale: see `roi_level`.
    """
    level_of = roi_level(rois[:, 1:], finest_scale)
    out = levels[0].new_zeros(len(rois), levels[0].shape[1], size, size)
    for index in range(ROI_LEVELS):
        members = (level_of == index).nonzero().squeeze(1)
        features = roi_align(levels[index], rois[members], size, strides[index])
        out = out.index_copy(0, members, features)
    return out


class BoxHead(nn.Module):
    """(N, C, S, S) -> class logits (N, things+1) and deltas (N, things, 4) for `ROI_CODER`.

    The last logit is background.
    """

    def __init__(self, channels: int, things: int, config: RoIConfig):
        super().__init__()
        self.things = things
        width = config.box_channels
        self.fc_cls = nn.Linear(width, things + 1)
        self.fc_reg = nn.Linear(width, 4 * things)
        self.shared_fcs = nn.ModuleList(
            [nn.Linear(channels * config.box_size**2, width), nn.Linear(width, width)]
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        x = features.flatten(1)
        for layer in self.shared_fcs:
            x = F.relu(layer(x))
        return self.fc_cls(x), self.fc_reg(x).reshape(len(x), self.things, 4)


class MaskHead(nn.Module):
    """(N, C, S, S) -> mask logits of every class (N, things, 2S, 2S)."""

    def __init__(self, channels: int, things: int, config: RoIConfig):
        super().__init__()
        self.convs = nn.ModuleList(
            NamedConv(channels, channels, kernel=3) for _ in range(config.mask_convs)
        )
        self.upsample = nn.ConvTranspose2d(channels, channels, kernel_size=2, stride=2)
        self.conv_logits = nn.Conv2d(channels, things, 1)

    def forward(self, features: Tensor) -> Tensor:
        x = features
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.conv_logits(F.relu(self.upsample(x)))


class RoIHead(nn.Module):
    """Both heads with RoIAlign, for boxes of any origin: proposals, detections or ground truth."""

    def __init__(self, config: PanopticConfig):
        super().__init__()
        self.config = config.roi
        self.strides = config.anchors.strides
        self.bbox_head = BoxHead(config.channels, config.things, config.roi)
        self.mask_head = MaskHead(config.channels, config.things, config.roi)

    def classify(self, levels: Sequence[Tensor], rois: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N, things+1) and box deltas (N, things, 4).

        Args:
            levels: P2 to P5 or more, each (B, C, H, W).
            rois: (N, 5), index in the batch and box in network pixels.
        """
        return self.bbox_head(self._extract(levels, rois, self.config.box_size))

    def masks(self, levels: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Mask logits of every class, (N, things, 2*mask_size, 2*mask_size).

        The arguments are those of `classify`.
        """
        return self.mask_head(self._extract(levels, rois, self.config.mask_size))

    def _extract(self, levels: Sequence[Tensor], rois: Tensor, size: int) -> Tensor:
        return extract(levels, rois, size, self.strides, self.config.finest_scale)
