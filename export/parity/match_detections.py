"""Matches the detections of two runs, so that they can be compared.

Scores that differ in the last bit may swap two slots; a score at the threshold may fill a slot on
one side only. Slots are therefore matched by class and overlap before they are compared.
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
"""Minimum IoU of two detections of one class that come from the same proposal.

Rounding moves a box by hundredths of a pixel, even in float16. If two proposals for one object have
almost equal scores, rounding decides which of them NMS keeps, and their boxes differ by pixels.
Such a detection has no match: the two boxes are not two roundings of the same box.
"""
DETECTION_OUTPUTS = ("boxes", "scores", "masks")


def match_detections(actual: Outputs, expected: Outputs) -> tuple[Outputs, Outputs, int]:
    """Both outputs with matched slots only, in the order of `expected`, and the unmatched count.

    Labels are equal by construction and left out. A mask covers its own box, but its edges follow
    the picture. Where it reduces the difference, a mask of `actual` is therefore resampled at the
    pixels of the other box. The distance between boxes is measured on the boxes themselves: at the
    edge of a small object, a hundredth of a pixel changes a probability by a hundredth.
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
    """Masks (n, s, s) of boxes (n, 4), resampled bilinearly at the cells of other boxes."""
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
    """Share of pixels that belong to the same segment of both maps.

    Instance numbers follow the order of scores and are not compared. Instances of one class are
    matched one to one instead, those that share the most pixels first.
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
