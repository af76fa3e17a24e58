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
    expected_slots = np.flatnonzero(expected["scores"] > 0)
    actual_slots = np.flatnonzero(actual["scores"] > 0)
    overlap = pairwise_iou(
        torch.from_numpy(expected["boxes"][expected_slots]),
        torch.from_numpy(actual["boxes"][actual_slots]),
    ).numpy()
    labels = expected["labels"][expected_slots], actual["labels"][actual_slots]
    overlap = np.where(labels[0][:, None] == labels[1][None, :], overlap, 0.0)
    rows, columns = [], []
    for row in range(len(expected_slots)):
        if not overlap.shape[1]:
            break
        column = int(overlap[row].argmax())
        if overlap[row, column] > SAME_BOX_IOU and column not in columns:
            rows.append(row)
            columns.append(column)
    unmatched = len(expected_slots) + len(actual_slots) - 2 * len(rows)
    actual = _select_slots(actual, actual_slots[columns])
    expected = _select_slots(expected, expected_slots[rows])
    resampled = _resample_masks(actual["masks"], actual["boxes"], expected["boxes"])

    def error(masks: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.abs(masks - expected["masks"]).max((1, 2), keepdims=True)

    better = error(resampled) < error(actual["masks"])
    actual["masks"] = np.where(better, resampled, actual["masks"])
    return actual, expected, unmatched


def _select_slots(outputs: Outputs, slots: NDArray[np.intp]) -> Outputs:
    """The detections in these slots, with the semantic logits."""
    detections = {name: outputs[name][slots] for name in DETECTION_OUTPUTS}
    return {**detections, "semantic": outputs["semantic"]}


def _resample_masks(
    masks: NDArray[np.float32], boxes: NDArray[np.float32], new_boxes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Masks (n, s, s) of boxes (n, 4), resampled bilinearly at the cells of other boxes."""
    if np.array_equal(boxes, new_boxes):
        return masks
    side = masks.shape[-1]
    cells = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    old, new = (torch.from_numpy(b).double()[:, :, None] for b in (boxes, new_boxes))
    coordinates = []
    for low, high in ((0, 2), (1, 3)):  # x, y
        pixels = new[:, low] + (new[:, high] - new[:, low]) * cells
        coordinates.append(2 * (pixels - old[:, low]) / (old[:, high] - old[:, low]) - 1)
    x, y = coordinates
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
    matches: dict[int, int] = {}
    for _, actual_id, expected_id in sorted(overlaps, reverse=True):
        if actual_id not in matches and expected_id not in matches.values():
            matches[actual_id] = expected_id
    same = (actual.ids == expected.ids) & (actual.ids < INSTANCE_OFFSET)
    for actual_id, expected_id in matches.items():
        same |= (actual.ids == actual_id) & (expected.ids == expected_id)
    return float(same.mean())
