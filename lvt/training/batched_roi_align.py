"""RoIAlign for training: all boxes of a batch in a few large matrix products.

Computes the same values as `lvt.panoptic.roi_heads.extract`, which loops over boxes to be readable.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lvt.panoptic.roi_align import sampling_matrices
from lvt.panoptic.roi_heads import ROI_LEVELS, roi_level


def align_boxes(feature: Tensor, boxes: Tensor, size: int, stride: float) -> Tensor:
    """Features of each box of one image, (N, C, size, size).

    Args:
        feature: (C, H, W).
        boxes: (N, 4), network pixels.
        size: side of the grid.
        stride: network pixels per cell of `feature`.
    """
    channels, height, width = feature.shape
    x1, y1, x2, y2 = (boxes / stride - 0.5).unbind(dim=1)
    rows = sampling_matrices(y1, y2, size, height)  # (N, size, H)
    columns = sampling_matrices(x1, x2, size, width)  # (N, size, W)
    strips = rows.flatten(0, 1) @ feature.transpose(0, 1).flatten(1)  # (N*size, C*W)
    strips = strips.reshape(len(boxes), size * channels, width) @ columns.transpose(1, 2)
    return strips.reshape(len(boxes), size, channels, size).transpose(1, 2)


def extract_boxes(
    levels: Sequence[Tensor],
    boxes: Sequence[Tensor],
    size: int,
    strides: Sequence[int],
    finest_scale: float,
) -> Tensor:
    """RoIAlign of the boxes of all images, each on its pyramid level: (sum of N, C, size, size).

    Args:
        levels: P2 to P5 or more, each (B, C, H, W).
        boxes: (N, 4) for each image of the batch, network pixels.
        size: side of the output grid.
        strides: of the levels, in network pixels.
        finest_scale: see `roi_level`.
    """
    features, order, start = [], [], 0
    for image, image_boxes in enumerate(boxes):
        level_of = roi_level(image_boxes, finest_scale)
        for level in range(ROI_LEVELS):
            members = (level_of == level).nonzero()[:, 0]
            if len(members):
                feature = levels[level][image]
                features.append(align_boxes(feature, image_boxes[members], size, strides[level]))
                order.append(members + start)
        start += len(image_boxes)
    if not features:
        return levels[0].new_zeros(0, levels[0].shape[1], size, size)
    return torch.cat(features)[torch.cat(order).argsort()]


def crop_masks(ids: Tensor, instances: Tensor, boxes: Tensor, size: int) -> Tensor:
    """The mask of each box's instance inside the box, bool (N, size, size).

    A cell belongs to the mask if the instance covers at least half of it.

    Args:
        ids: int (H, W), id of the instance of each pixel.
        instances: (N,), id of each box's instance.
        boxes: (N, 4), network pixels.
        size: side of the grid.
    """
    x1, y1, x2, y2 = (boxes - 0.5).unbind(dim=1)
    rows = sampling_matrices(y1, y2, size, ids.shape[0])
    columns = sampling_matrices(x1, x2, size, ids.shape[1])
    masks = (ids == instances[:, None, None]).to(boxes.dtype)  # (N, H, W)
    return rows @ masks @ columns.transpose(1, 2) >= 0.5
