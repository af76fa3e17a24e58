"""Puts the detections of two runs side by side.

Scores that differ in the last bit may swap two slots, or fill one on one side only where a score
stands at the threshold. Slots are therefore paired by class and overlap before they are compared.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from export.session import Outputs
from lvt.panoptic.boxes import pairwise_iou
from lvt.panoptic.config import INSTANCE_OFFSET
from lvt.panoptic.fusion import PanopticMap

SAME_BOX_IOU = 0.98
"""Detections of one class that overlap by more come from one proposal.

Rounding moves a box by hundredths of a pixel, even in float16. Where two proposals for one object
score almost the same, rounding decides which of them NMS keeps; their boxes differ by pixels. Such
a detection has no partner: the two are not two roundings of one number.
"""
DETECTION_OUTPUTS = ("boxes", "scores", "masks")


def match_detections(actual: Outputs, expected: Outputs) -> tuple[Outputs, Outputs, int]:
    """Both outputs with paired slots only, in the order of `expected`, and how many are unpaired.

    Labels are equal by construction and left out. A mask lies in its own box, and its edges in the
    picture: one of `actual` is taken at the pixels of the other's box where that brings the two
    nearer. How far boxes are apart is for the boxes to tell; at the edge of a small thing a
    hundredth of a pixel is a hundredth of a probability.
    """
    left = np.flatnonzero(expected["scores"] > 0)
    right = np.flatnonzero(actual["scores"] > 0)
    overlap = pairwise_iou(
        torch.from_numpy(expected["boxes"][left]), torch.from_numpy(actual["boxes"][right])
    ).numpy()
    same = expected["labels"][left][:, None] == actual["labels"][right][None, :]
    overlap = np.where(same, overlap, 0.0)
    rows, columns = [], []
    for row in range(len(left)):
        if not overlap.shape[1]:
            break
        column = int(overlap[row].argmax())
        if overlap[row, column] > SAME_BOX_IOU and column not in columns:
            rows.append(row)
            columns.append(column)
    unpaired = len(left) + len(right) - 2 * len(rows)

    def picked(outputs: Outputs, slots: np.ndarray) -> Outputs:
        chosen = {name: outputs[name][slots] for name in DETECTION_OUTPUTS}
        return {**chosen, "semantic": outputs["semantic"]}

    mine, other = picked(actual, right[columns]), picked(expected, left[rows])
    moved = _in_boxes(mine["masks"], mine["boxes"], other["boxes"])

    def error(masks: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.abs(masks - other["masks"]).max((1, 2), keepdims=True)

    mine["masks"] = np.where(error(moved) < error(mine["masks"]), moved, mine["masks"])
    return mine, other, unpaired


def _in_boxes(
    masks: NDArray[np.float32], own: NDArray[np.float32], boxes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Masks (n, s, s) in their own boxes (n, 4), bilinearly at the cells of other boxes."""
    if np.array_equal(own, boxes):
        return masks
    side = masks.shape[-1]
    cells = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    mine, other = (torch.from_numpy(b).double()[:, :, None] for b in (own, boxes))
    places = []
    for low, high in ((0, 2), (1, 3)):  # x, y
        pixels = other[:, low] + (other[:, high] - other[:, low]) * cells
        places.append(2 * (pixels - mine[:, low]) / (mine[:, high] - mine[:, low]) - 1)
    x, y = places
    grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), dim=-1)
    values = torch.from_numpy(masks).double()[:, None]
    sampled = F.grid_sample(values, grid, padding_mode="border", align_corners=False)
    return sampled[:, 0].float().numpy()


def same_segments(actual: PanopticMap, expected: PanopticMap) -> float:
    """Share of pixels that lie in the same segment of both maps.

    Instances are numbered in the order of their scores, so numbers are not compared: instances of
    one class are paired one to one, those that share most pixels first.
    """
    overlaps = []
    for segment in actual.segments:
        if segment.detection is None:
            continue
        values, counts = np.unique(expected.ids[actual.ids == segment.id], return_counts=True)
        overlaps += [
            (int(count), segment.id, int(value))
            for value, count in zip(values, counts, strict=True)
            if value >= INSTANCE_OFFSET and value % INSTANCE_OFFSET == segment.label
        ]
    partner: dict[int, int] = {}
    for _, left, right in sorted(overlaps, reverse=True):
        if left not in partner and right not in partner.values():
            partner[left] = right
    same = (actual.ids == expected.ids) & (actual.ids < INSTANCE_OFFSET)
    for left, right in partner.items():
        same |= (actual.ids == left) & (expected.ids == right)
    return float(same.mean())
