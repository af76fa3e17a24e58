"""Puts the detections of two runs side by side.

Scores that differ in the last bit may swap two slots, or fill one on one side only where a score
stands at the threshold. Slots are therefore paired by class and overlap before they are compared.
"""

from __future__ import annotations

import numpy as np
import torch

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


def aligned(actual: Outputs, expected: Outputs) -> tuple[Outputs, Outputs, int]:
    """Both outputs with paired slots only, in the order of `expected`, and how many are unpaired.

    Labels are equal by construction and left out.
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

    return picked(actual, right[columns]), picked(expected, left[rows]), unpaired


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
