"""Box arithmetic: encoding and decoding of deltas, clipping, overlap.

Boxes are float tensors (..., 4) of x1, y1, x2, y2 in pixels; the width is x2 - x1, without + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_LOG_SCALE = abs(math.log(16 / 1000))
"""Limit of a decoded log scale: a box is at most 62.5 times as large as its reference box."""


@dataclass(frozen=True)
class DeltaCoder:
    """Encodes boxes as deltas (dx, dy, dw, dh) from reference boxes.

    dx and dy are shifts of the centre in widths and heights; dw and dh are logarithms of scales.

    Attributes:
        stds: factors by which the deltas are multiplied before they are decoded.
    """

    stds: tuple[float, float, float, float]

    def decode(self, references: Tensor, deltas: Tensor) -> Tensor:
        """Boxes (..., 4) from reference boxes (..., 4) and deltas (..., 4), which broadcast.

        Scales are limited by `MAX_LOG_SCALE`; boxes are not clipped to the image.
        """
        scaled = deltas * deltas.new_tensor(self.stds)
        shift, log_scale = scaled[..., :2], scaled[..., 2:]
        low, high = references[..., :2], references[..., 2:]
        size = high - low
        centre = (low + high) / 2.0 + shift * size
        half = size * log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE).exp() / 2.0
        return torch.cat([centre - half, centre + half], dim=-1)

    def encode(self, references: Tensor, boxes: Tensor) -> Tensor:
        """Deltas (N, 4) that `decode` turns into `boxes`: the regression targets of training.

        Args:
            references: (N, 4), with widths and heights above 0.
            boxes: (N, 4), with widths and heights above 0.
        """
        low, high = references.split(2, dim=-1)
        box_low, box_high = boxes.split(2, dim=-1)
        size = high - low
        shift = (box_low + box_high - low - high) / 2 / size
        log_scale = ((box_high - box_low) / size).log()
        return torch.cat([shift, log_scale], dim=-1) / boxes.new_tensor(self.stds)


RPN_CODER = DeltaCoder((1.0, 1.0, 1.0, 1.0))
ROI_CODER = DeltaCoder((0.1, 0.1, 0.2, 0.2))


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) clipped to an image of `size` (height, width)."""
    height, width = size
    limit = boxes.new_tensor([width, height, width, height])
    return boxes.clamp(min=0.0).minimum(limit)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes (N, 4) and (M, 4), as (N, M).

    It is NaN for two boxes without area; NaN is above no threshold.
    """
    low = torch.maximum(first[:, None, :2], second[:, :2])
    high = torch.minimum(first[:, None, 2:], second[:, 2:])
    overlap = (high - low).clamp(min=0).prod(dim=-1)  # (N, M)
    area = (first[:, 2:] - first[:, :2]).prod(dim=-1)
    other_area = (second[:, 2:] - second[:, :2]).prod(dim=-1)
    return overlap / (area[:, None] + other_area - overlap)
