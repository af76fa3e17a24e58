"""Matches boxes to true boxes by IoU, and samples the matched boxes that a loss uses.

Anchors and proposals are treated alike: only boxes and thresholds matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lvt.panoptic.boxes import pairwise_iou

NEGATIVE = -1
"""Match of a box that is background."""
IGNORED = -2
"""Match of a box that no loss uses."""


@dataclass(frozen=True)
class MatcherConfig:
    """Thresholds of intersection over union.

    Attributes:
        positive: from this value on, a box matches the true box that it overlaps most.
        negative: below this value, a box is background; between the two it is ignored.
        low_quality: every true box also matches the boxes that overlap it most, if they overlap
            it by at least this value; None for no such matches.
    """

    positive: float
    negative: float
    low_quality: float | None = None


RPN_MATCHER = MatcherConfig(positive=0.7, negative=0.3, low_quality=0.3)
ROI_MATCHER = MatcherConfig(positive=0.5, negative=0.5)


def match_boxes(boxes: Tensor, truth: Tensor, config: MatcherConfig) -> Tensor:
    """The match of each box, int64 (N,): index of a true box, `NEGATIVE` or `IGNORED`.

    Args:
        boxes: (N, 4), anchors or proposals.
        truth: (G, 4); if G is 0, every box is negative.
        config: thresholds.
    """
    if not len(truth):
        return torch.full((len(boxes),), NEGATIVE, device=boxes.device)
    iou = pairwise_iou(truth, boxes)  # (G, N)
    best, index = iou.max(dim=0)
    matches = torch.full_like(index, IGNORED)
    matches[best < config.negative] = NEGATIVE
    matches = torch.where(best >= config.positive, index, matches)
    if config.low_quality is not None:
        highest = iou.amax(dim=1, keepdim=True)
        closest = (iou == highest) & (highest >= config.low_quality)
        # If two true boxes claim one box, it matches the later, as in the official assigner.
        order = torch.arange(1, len(truth) + 1, device=boxes.device)[:, None]
        claimed = (closest * order).amax(dim=0)
        matches = torch.where(claimed > 0, claimed - 1, matches)
    return matches


def sample_boxes(
    matches: Tensor, count: int, positive_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Indices of a random choice of positive boxes and of negative boxes.

    At most `count * positive_share` are positive; negative ones fill up to `count` in all.

    Args:
        matches: (N,), from `match_boxes`.
        count: number of boxes to choose.
        positive_share: 0..1.
        generator: a CPU generator of random numbers.
    """
    positive = _choose((matches >= 0).nonzero()[:, 0], int(count * positive_share), generator)
    negative = _choose((matches == NEGATIVE).nonzero()[:, 0], count - len(positive), generator)
    return positive, negative


def _choose(indices: Tensor, count: int, generator: torch.Generator) -> Tensor:
    if len(indices) <= count:
        return indices
    return indices[torch.randperm(len(indices), generator=generator)[:count]]
