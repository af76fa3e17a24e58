"""Greedy non-maximum suppression, over all boxes or within groups."""

from __future__ import annotations

import torch
from torch import Tensor

from lvt.panoptic.boxes import pairwise_iou


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes that survive, best first.

    Goes through the boxes in falling score (equal scores: first come, first served); each box
    still alive drops those after it that overlap it by more than `iou_threshold`.

    Args:
        boxes: (N, 4).
        scores: (N,).
        iou_threshold: intersection over union that is still allowed.
    """
    order = scores.argsort(descending=True, stable=True)
    ordered = boxes[order]
    suppresses = (pairwise_iou(ordered, ordered) > iou_threshold).cpu()
    alive = torch.ones(len(order), dtype=torch.bool)
    for index, row in enumerate(suppresses):
        if alive[index]:
            alive[index + 1 :] &= ~row[index + 1 :]
    return order[alive.to(order.device)]


def grouped_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each group: a box drops only boxes of its own group.

    Args:
        boxes: (N, 4).
        scores: (N,).
        groups: (N,), an integer label a box, such as its pyramid level.
        iou_threshold: intersection over union that is still allowed.

    Returns:
        Indices of the survivors of all groups, best first.
    """
    kept = [groups.new_empty(0)]
    for group in groups.unique():
        members = (groups == group).nonzero().squeeze(1)
        kept.append(members[nms(boxes[members], scores[members], iou_threshold)])
    indices = torch.cat(kept).sort().values  # so that equal scores keep the order of the input
    return indices[scores[indices].argsort(descending=True, stable=True)]
