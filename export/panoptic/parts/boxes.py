"""Arithmetic of boxes on the host, with NumPy. The Android app has the same steps.

Boxes are float32 arrays (N, 4) of x1, y1, x2, y2 in network pixels. Everything is computed in
float32 in the order of `lvt.panoptic.boxes`. Exponentials alone are computed in float64 and then
rounded: the functions of different libraries differ in the last bit of float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lvt.config import Size

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

_BLOCK = 128
"""Boxes that `nms` decides about at a time."""


def sigmoid(logits: Floats) -> Floats:
    """Probabilities of logits."""
    with np.errstate(over="ignore"):  # the probability is 0 then
        return (1.0 / (1.0 + np.exp(-logits.astype(np.float64)))).astype(np.float32)


def decode(
    references: Floats, deltas: Floats, stds: tuple[float, ...], max_log_scale: float
) -> Floats:
    """Boxes from reference boxes (N, 4) and their deltas (N, 4); see `DeltaCoder.decode`."""
    scaled = deltas * np.array(stds, np.float32)
    low, high = references[:, :2], references[:, 2:]
    size = high - low
    centre = (low + high) / np.float32(2) + scaled[:, :2] * size
    limit = np.float32(max_log_scale)
    scale = np.exp(np.clip(scaled[:, 2:], -limit, limit).astype(np.float64)).astype(np.float32)
    half = size * scale / np.float32(2)
    return np.concatenate([centre - half, centre + half], axis=1)


def clip(boxes: Floats, size: Size) -> Floats:
    """Boxes clipped to an image of `size` (height, width)."""
    height, width = size
    limit = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, np.float32(0), limit)


def best(scores: Floats, count: int) -> Indices:
    """Indices of the `count` highest scores, best first; equal scores keep their order.

    NaN, which a model that diverged gives, is the lowest.
    """
    scores = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    if count < len(scores):
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        candidates = np.flatnonzero(scores >= least)
    else:
        candidates = np.arange(len(scores))
    order = np.argsort(-scores[candidates], kind="stable")
    return candidates[order[:count]]


def nms(boxes: Floats, iou_threshold: float, count: int) -> Indices:
    """Greedy non-maximum suppression: indices of at most `count` boxes that are kept, in order.

    Each kept box suppresses later boxes whose IoU with it is above the threshold. The boxes are
    decided about in blocks: a block among itself, and then all later boxes against the kept ones
    of the block.

    Args:
        boxes: in order of falling score.
        iou_threshold: highest IoU of two kept boxes.
        count: stop after so many kept boxes.
    """
    kept: list[Indices] = []
    missing = count
    later = np.arange(len(boxes))
    while len(later) and missing > 0:
        block, later = later[:_BLOCK], later[_BLOCK:]
        block = block[_survivors(_overlaps(boxes[block], boxes[block], iou_threshold))][:missing]
        missing -= len(block)
        kept.append(block)
        later = later[~_overlaps(boxes[block], boxes[later], iou_threshold).any(axis=0)]
    return np.concatenate(kept) if kept else np.empty(0, np.int64)


def _survivors(overlaps: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of N boxes greedy suppression keeps, from the pairs that overlap (N, N)."""
    alive = np.ones(len(overlaps), np.bool_)
    suppressed = np.triu(overlaps, k=1)  # [i, j]: i suppresses the later j
    for index in np.flatnonzero(suppressed.any(axis=1)):
        if alive[index]:
            alive &= ~suppressed[index]
    return alive


def _overlaps(first: Floats, second: Floats, iou_threshold: float) -> NDArray[np.bool_]:
    """Pairs of boxes (N, 4) and (M, 4) whose IoU is above the threshold, (N, M)."""
    a, b = first[:, None, :], second[None, :, :]
    zero = np.float32(0)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 is above no threshold
        left, right = np.maximum(a[..., 0], b[..., 0]), np.minimum(a[..., 2], b[..., 2])
        top, bottom = np.maximum(a[..., 1], b[..., 1]), np.minimum(a[..., 3], b[..., 3])
        overlap = np.maximum(right - left, zero) * np.maximum(bottom - top, zero)
        union = _area(first)[:, None] + _area(second) - overlap
        return overlap / union > np.float32(iou_threshold)


def _area(boxes: Floats) -> Floats:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
