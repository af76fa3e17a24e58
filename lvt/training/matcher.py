"""Which boxes learn what: IoU assignment to the truth, and random sampling of the assigned.

Knows boxes and thresholds only; anchors and proposals are alike to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lvt.panoptic.boxes import pairwise_iou

NEGATIVE = -1
IGNORED = -2


@dataclass(frozen=True)
class AssignConfig:
    """Thresholds of intersection over union.

    Attributes:
        positive: from here on a box belongs to the truth it overlaps most.
        negative: below, it is background; between the two it is ignored.
        low_quality: also give every true box the boxes that overlap it most, from this overlap
            on; None not to.
    """

    positive: float
    negative: float
    low_quality: float | None = None


RPN_ASSIGN = AssignConfig(positive=0.7, negative=0.3, low_quality=0.3)
ROI_ASSIGN = AssignConfig(positive=0.5, negative=0.5)


def assign(boxes: Tensor, truth: Tensor, config: AssignConfig) -> Tensor:
    """The true box each box belongs to, int64 (N,): an index, `NEGATIVE` or `IGNORED`.

    Args:
        boxes: (N, 4), anchors or proposals.
        truth: (G, 4), G may be 0: then everything is negative.
        config: thresholds.
    """
    if not len(truth):
        return torch.full((len(boxes),), NEGATIVE, device=boxes.device)
    iou = pairwise_iou(truth, boxes)  # (G, N)
    best, index = iou.max(dim=0)
    assigned = torch.full_like(index, IGNORED)
    assigned[best < config.negative] = NEGATIVE
    assigned = torch.where(best >= config.positive, index, assigned)
    if config.low_quality is not None:
        highest = iou.amax(dim=1, keepdim=True)
        closest = (iou == highest) & (highest >= config.low_quality)
        # If two true boxes claim one box, the later takes it, as in the official assigner.
        order = torch.arange(1, len(truth) + 1, device=boxes.device)[:, None]
        claimed = (closest * order).amax(dim=0)
        assigned = torch.where(claimed > 0, claimed - 1, assigned)
    return assigned


def sample(
    assigned: Tensor, count: int, positive_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Indices of a random choice of positives and of negatives.

    At most `count * positive_share` positives, then negatives up to `count` in all.

    Args:
        assigned: (N,), from `assign`.
        count: of boxes to choose.
        positive_share: 0..1.
        generator: of randomness; a CPU generator.
    """
    positive = _choose((assigned >= 0).nonzero()[:, 0], int(count * positive_share), generator)
    negative = _choose((assigned == NEGATIVE).nonzero()[:, 0], count - len(positive), generator)
    return positive, negative


def _choose(indices: Tensor, count: int, generator: torch.Generator) -> Tensor:
    if len(indices) <= count:
        return indices
    return indices[torch.randperm(len(indices), generator=generator)[:count]]
