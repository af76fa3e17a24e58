"""Greedy non-maximum suppression without a loop over boxes: Cluster-NMS.

Greedy NMS goes through the boxes in falling score; a box is kept unless a kept one before it
overlaps it too much. Cluster-NMS asks this of all boxes at once, again and again: a box is alive
unless one that was alive in the last sweep suppresses it. After t sweeps every box whose chain of
suppressions (kept, dropped by it, would have been dropped by that one, ...) is at most t long has
its final state, so the result equals greedy NMS from as many sweeps on as the longest chain has
links.
"""

from __future__ import annotations

import torch
from torch import Tensor

SWEEPS = 24
"""Three times the longest chain found in RPN boxes of pictures (7, a test measures it)."""


def overlap_exceeds(boxes: Tensor, threshold: float) -> Tensor:
    """Which pairs of boxes (N, 4) overlap by more than `threshold`, as (N, N) of 0.0 and 1.0.

    Without the division: boxes without area overlap nothing.
    """
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    side = (high - low).clamp(min=0)
    overlap = side[..., 0] * side[..., 1]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = area[:, None] + area[None, :] - overlap
    return (overlap > threshold * union).to(boxes.dtype)


def cluster_nms(boxes: Tensor, valid: Tensor, threshold: float, sweeps: int = SWEEPS) -> Tensor:
    """Which boxes survive, as 0.0 and 1.0.

    Args:
        boxes: (N, 4), in falling score.
        valid: (N,) of 0.0 and 1.0; the others neither survive nor suppress.
        threshold: intersection over union that is still allowed.
        sweeps: at least the length of the longest chain of suppressions.
    """
    count = boxes.shape[0]
    before = torch.ones(count, count, dtype=boxes.dtype, device=boxes.device).triu(1)
    suppresses = overlap_exceeds(boxes, threshold) * before  # [i, j]: i would drop j
    alive = valid
    for _ in range(sweeps):
        dropped = alive[None, :] @ suppresses  # how many living boxes drop each
        alive = valid * (dropped[0] < 0.5).to(boxes.dtype)
    return alive


def sweeps_needed(boxes: Tensor, threshold: float) -> int:
    """Sweeps after which `cluster_nms` changes nothing more, for boxes (N, 4) in falling score."""
    valid = boxes.new_ones(len(boxes))
    last = cluster_nms(boxes, valid, threshold, 0)
    for sweeps in range(1, len(boxes) + 2):
        alive = cluster_nms(boxes, valid, threshold, sweeps)
        if torch.equal(alive, last):
            return sweeps - 1
        last = alive
    return len(boxes)
