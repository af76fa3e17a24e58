"""The steps between the entry points, on the host: proposals, features, detections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.panoptic.parts.boxes import Floats, best, clip, decode, nms, sigmoid
from export.panoptic.parts.layout import HostConstants, PyramidLevel
from export.panoptic.parts.roi_align import Grid, roi_levels, roi_points

CoreOutputs = Mapping[str, Floats]
"""Outputs of `core`: `p2` to `p5`, `objectness_p2` to `_p6`, `deltas_p2` to `_p6`, `semantic`."""


class Detections(NamedTuple):
    """The detected instances, best first.

    Attributes:
        boxes: (D, 4) in network pixels.
        scores: (D,), probabilities.
        labels: (D,), thing classes.
    """

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int32]


class HostSteps:
    """The host steps of one model."""

    def __init__(self, constants: HostConstants):
        self.constants = constants
        self._anchors = [_grid_anchors(level) for level in constants.levels]
        levels = constants.levels[: constants.feature_levels]
        self._grids = Grid(
            np.array([level.stride for level in levels], np.float32),
            np.array([level.cells[0] for level in levels]),
            np.array([level.cells[1] for level in levels]),
        )

    def proposals(self, core: CoreOutputs) -> Floats:
        """Boxes (P, 4) that may hold a thing, best first: the best anchors of each level after NMS.

        As `lvt.panoptic.rpn.propose`, for an image without padding.
        """
        constants = self.constants
        scores, deltas, anchors = [], [], []
        for level, level_anchors in zip(constants.levels, self._anchors, strict=True):
            score = sigmoid(core[f"objectness_{level.name}"].reshape(-1))
            order = best(score, constants.per_level)
            scores.append(score[order])
            deltas.append(core[f"deltas_{level.name}"].reshape(-1, 4)[order])
            anchors.append(level_anchors[order])
        boxes = decode(
            np.concatenate(anchors),
            np.concatenate(deltas),
            constants.rpn_stds,
            constants.max_log_scale,
        )
        boxes = clip(boxes, constants.image)
        exists = _has_area(boxes)
        kept, first = [], 0
        for score in scores:
            members = first + np.flatnonzero(exists[first : first + len(score)])
            kept.append(members[nms(boxes[members], constants.proposal_iou, constants.proposals)])
            first += len(score)
        rows = np.concatenate(kept)
        return boxes[rows[best(np.concatenate(scores)[rows], constants.proposals)]]

    def features(self, core: CoreOutputs, boxes: Floats, bins: int) -> Floats:
        """Features of boxes (N, 4) from the pyramid level of each one's size: (N, bins*bins, C)."""
        constants = self.constants
        features = np.zeros((len(boxes), bins * bins, constants.channels), np.float32)
        has_area = np.flatnonzero(_has_area(boxes))  # others have zeros
        level_of = roi_levels(boxes[has_area], constants.finest_scale, constants.feature_levels)
        order = np.argsort(level_of, kind="stable")
        members, level_of = has_area[order], level_of[order]
        points = roi_points(boxes[members], self._grids.of(level_of), bins)
        bounds = np.searchsorted(level_of, np.arange(constants.feature_levels + 1))
        for level, first, end in zip(constants.levels, bounds[:-1], bounds[1:], strict=False):
            if first < end:
                cells = core[level.name].reshape(-1, constants.channels)
                rows = slice(first * bins * bins, end * bins * bins)
                sums = points.features(cells, rows)
                features[members[first:end]] = sums.reshape(end - first, bins * bins, -1)
        return features

    def detections(self, proposals: Floats, scores: Floats, deltas: Floats) -> Detections:
        """The (box, class) pairs above the score threshold, after one NMS over all classes.

        As `lvt.panoptic.detections.detect`, for an image that is not resized.

        Args:
            proposals: (P, 4).
            scores: (P, things+1), probabilities, background last.
            deltas: (P, things*4).
        """
        constants = self.constants
        box, label = np.nonzero(scores[:, :-1] > np.float32(constants.score_threshold))
        score = scores[box, label]
        order = np.argsort(-score, kind="stable")
        box, label, score = box[order], label[order], score[order]
        pair_deltas = deltas.reshape(len(deltas), constants.things, 4)[box, label]
        boxes = decode(proposals[box], pair_deltas, constants.roi_stds, constants.max_log_scale)
        boxes = clip(boxes, constants.image)
        kept = nms(boxes, constants.detection_iou, constants.detections)
        return Detections(boxes[kept], score[kept], label[kept].astype(np.int32))

    def box_inputs(self, core: CoreOutputs, boxes: Floats) -> dict[str, Floats]:
        """The inputs of `boxes` for at most one batch of boxes; missing ones are zero."""
        constants = self.constants
        width = constants.box_size**2 * constants.channels
        features = np.zeros((constants.box_batch, width), np.float32)
        found = self.features(core, boxes, constants.box_size)
        features[: len(boxes)] = found.reshape(len(boxes), width)
        return {"features": features}

    def mask_inputs(
        self, core: CoreOutputs, boxes: Floats, labels: NDArray[np.int32]
    ) -> dict[str, Floats]:
        """The inputs of `masks` for at most one batch of detections; missing ones are zero."""
        constants = self.constants
        count, side = constants.mask_batch, constants.mask_size
        features = np.zeros((count, side, side, constants.channels), np.float32)
        features[: len(boxes)] = self.features(core, boxes, side).reshape(-1, *features.shape[1:])
        classes = np.zeros((count, constants.things), np.float32)
        classes[np.arange(len(labels)), labels] = 1
        return {"features": features, "classes": classes}


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices of `size` that cover `count` items."""
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def _has_area(boxes: Floats) -> NDArray[np.bool_]:
    """Which boxes (N, 4) have a width and a height; not those that are NaN."""
    has_area: NDArray[np.bool_] = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    return has_area


def _grid_anchors(level: PyramidLevel) -> Floats:
    """Anchors of a level, (rows*columns*ratios, 4); see `lvt.panoptic.anchors.grid_anchors`."""
    rows, columns = level.cells
    y, x = np.mgrid[:rows, :columns] * level.stride
    centres = np.stack([x, y, x, y], axis=-1).reshape(-1, 1, 4).astype(np.float32)
    return (centres + np.array(level.anchors, np.float32)).reshape(-1, 4)
