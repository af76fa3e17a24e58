"""Greedy non-maximum suppression without a loop over boxes: Cluster-NMS.

Greedy NMS visits the boxes in order of falling score and keeps a box unless one that it kept before
overlaps it too much. Cluster-NMS updates all boxes at once, in several sweeps: a box is alive
unless a box that was alive after the last sweep suppresses it. A chain of suppressions is a kept
box, a box that it suppresses, a box that this one would suppress, and so on. After t sweeps, every
box at the end of a chain of at most t links has its final state. So the result equals greedy NMS
once there are as many sweeps as the longest chain has links.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.panoptic.branchless import positive

SWEEPS = 24
"""Three times the longest chain in RPN boxes of real images (7; a test measures it)."""


def overlap_exceeds(boxes: Tensor, threshold: float) -> Tensor:
    """1.0 for pairs of boxes whose IoU exceeds `threshold`, else 0.0: (N, 4) -> (N, N).

    Computed without a division, so a box without area overlaps no box.
    """
    across = boxes.transpose(0, 1)

    def shared(low: int, high: int) -> Tensor:
        """Length of the overlap along one axis, (N, N)."""
        start = torch.maximum(boxes[:, low : low + 1], across[low : low + 1])
        end = torch.minimum(boxes[:, high : high + 1], across[high : high + 1])
        return F.relu(end - start)

    overlap = shared(0, 2) * shared(1, 3)
    area = (boxes[:, 2:3] - boxes[:, 0:1]) * (boxes[:, 3:4] - boxes[:, 1:2])
    union = area + area.transpose(0, 1) - overlap
    return positive(overlap - threshold * union)


class ClusterNMS(nn.Module):
    """Non-maximum suppression of a fixed number of boxes.

    Args:
        count: number of boxes N.
        threshold: largest intersection over union that two kept boxes may have.
        sweeps: at least the length of the longest chain of suppressions.
    """

    def __init__(self, count: int, threshold: float, sweeps: int = SWEEPS):
        super().__init__()
        self.threshold, self.sweeps = threshold, sweeps
        self.register_buffer("after", torch.ones(count, count).tril(-1), persistent=False)

    def forward(self, boxes: Tensor, valid: Tensor) -> Tensor:
        """1.0 for boxes that are kept, else 0.0: (N,).

        Args:
            boxes: (N, 4), in order of falling score.
            valid: (N,), 0.0 for boxes to ignore, which are not kept and suppress no box; else 1.0.
        """
        after = self.get_buffer("after").to(boxes.dtype)
        # [i, j] is 1 if j suppresses i. XNNPACK would copy a right operand in each sweep.
        suppressed = (overlap_exceeds(boxes, self.threshold) * after).reshape(1, *after.shape)
        exists = valid.reshape(1, -1, 1)
        alive = exists
        for _ in range(self.sweeps):
            dropped_by = torch.bmm(suppressed, alive)  # number of alive boxes that suppress each
            alive = F.relu(exists - dropped_by)
        return alive.reshape(-1)
