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
import torch.nn.functional as F
from torch import Tensor, nn

from export.panoptic.branchless import positive

SWEEPS = 24
"""Three times the longest chain found in RPN boxes of pictures (7, a test measures it)."""


def overlap_exceeds(boxes: Tensor, threshold: float) -> Tensor:
    """Which pairs of boxes (N, 4) overlap by more than `threshold`, as (N, N) of 0.0 and 1.0.

    Without the division: boxes without area overlap nothing.
    """
    across = boxes.transpose(0, 1)

    def shared(low: int, high: int) -> Tensor:
        """Common length along one axis, (N, N)."""
        start = torch.maximum(boxes[:, low : low + 1], across[low : low + 1])
        end = torch.minimum(boxes[:, high : high + 1], across[high : high + 1])
        return F.relu(end - start)

    overlap = shared(0, 2) * shared(1, 3)
    area = (boxes[:, 2:3] - boxes[:, 0:1]) * (boxes[:, 3:4] - boxes[:, 1:2])
    union = area + area.transpose(0, 1) - overlap
    return positive(overlap - threshold * union)


class ClusterNMS(nn.Module):
    """Which of N boxes survive.

    Args:
        count: N.
        threshold: intersection over union that is still allowed.
        sweeps: at least the length of the longest chain of suppressions.
    """

    def __init__(self, count: int, threshold: float, sweeps: int = SWEEPS):
        super().__init__()
        self.threshold, self.sweeps = threshold, sweeps
        self.register_buffer("after", torch.ones(count, count).tril(-1), persistent=False)

    def forward(self, boxes: Tensor, valid: Tensor) -> Tensor:
        """Survivors (N,) as 0.0 and 1.0.

        Args:
            boxes: (N, 4), in falling score.
            valid: (N,) of 0.0 and 1.0; the others neither survive nor suppress.
        """
        after = self.get_buffer("after").to(boxes.dtype)
        # [i, j]: j drops i. As the left operand, which XNNPACK does not copy in each sweep.
        suppressed = (overlap_exceeds(boxes, self.threshold) * after).reshape(1, *after.shape)
        exists = valid.reshape(1, -1, 1)
        alive = exists
        for _ in range(self.sweeps):
            dropped_by = torch.bmm(suppressed, alive)  # how many living boxes drop each
            alive = F.relu(exists - dropped_by)
        return alive.reshape(-1)


def sweeps_needed(boxes: Tensor, threshold: float) -> int:
    """Sweeps after which `ClusterNMS` changes nothing more, for boxes (N, 4) in falling score."""
    valid = boxes.new_ones(len(boxes))
    last = ClusterNMS(len(boxes), threshold, 0)(boxes, valid)
    for sweeps in range(1, len(boxes) + 2):
        alive = ClusterNMS(len(boxes), threshold, sweeps)(boxes, valid)
        if torch.equal(alive, last):
            return sweeps - 1
        last = alive
    return len(boxes)
