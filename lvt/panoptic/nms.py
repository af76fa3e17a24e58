"""Greedy non-maximum suppression, over all boxes or within groups."""

from __future__ import annotations

import torch
from torch import Tensor

from lvt.panoptic.boxes import pairwise_iou


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes that are kept, best first.

    In the order of falling scores, each kept box suppresses the later boxes whose IoU with it is
    above `iou_threshold`. Boxes with equal scores keep their order.

    Args:
        boxes: (N, 4).
        scores: (N,).
        iou_threshold: highest intersection over union of two kept boxes.
    """
    order = scores.argsort(descending=True, stable=True)
    ordered = boxes[order]
    suppresses = (pairwise_iou(ordered, ordered) > iou_threshold).cpu()
    kept = torch.ones(len(order), dtype=torch.bool)
    for index, row in enumerate(suppresses):
        if kept[index]:
            kept[index + 1 :] &= ~row[index + 1 :]
    return order[kept.to(order.device)]


def grouped_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each group: a box suppresses only boxes of its group.

    Args:
        boxes: (N, 4).
        scores: (N,).
        groups: (N,), integer label of each box, such as its pyramid level.
        iou_threshold: highest intersection over union of two kept boxes.

    Returns:
        Indices of the kept boxes of all groups, best first.
    """
    kept = [groups.new_empty(0)]
    for group in groups.unique():
        members = (groups == group).nonzero().squeeze(1)
        kept.append(members[nms(boxes[members], scores[members], iou_threshold)])
    indices = torch.cat(kept).sort().values  # equal scores keep the order of the input
    return indices[scores[indices].argsort(descending=True, stable=True)]
