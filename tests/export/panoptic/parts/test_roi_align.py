"""RoIAlign by points against the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from export.panoptic.parts.roi_align import Grid, roi_levels, roi_points
from lvt.panoptic.roi_align import roi_align as reference_roi_align
from lvt.panoptic.roi_heads import as_rois, roi_level

SIZE = (19, 27)
"""Of the map; at stride 8 an image of 152 x 216."""


def features(cells: np.ndarray, boxes: np.ndarray, bins: int) -> np.ndarray:
    """Features of boxes from one map at stride 8, (N, bins*bins, C)."""
    count = len(boxes)
    height, width = (np.full(count, side) for side in SIZE)
    points = roi_points(boxes, Grid(np.full(count, 8, np.float32), height, width), bins)
    sums = points.features(cells, slice(0, count * bins * bins))
    return sums.reshape(count, bins * bins, cells.shape[1])


def boxes_of_all_kinds() -> np.ndarray:
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 1, (40, 2)) * [216, 152]
    high = low + generator.uniform(0, 1, (40, 2)) * ([216, 152] - low)
    special = [
        [0, 0, 216, 152],  # everything
        [0, 0, 3, 2],  # within the first cell, at the border
        [210, 149, 216, 152],  # at the other end
        [0, 70, 216, 74],  # wide and flat: many samples along one axis
        [100, 0, 103, 152],
        [8, 8, 8 + 56, 8 + 56],  # bins of exactly one cell
        [8, 8, 8 + 56.001, 8 + 56.001],  # and a trace more
        [30, 30, 30, 60],  # no width
    ]
    return np.concatenate([np.concatenate([low, high], axis=1), special]).astype(np.float32)


@pytest.mark.parametrize("bins", [1, 7, 14])
def test_features_are_the_reference_s(bins: int) -> None:
    """Weighted sums of the same cells, in another order: a few roundings of float32."""
    feature = np.random.default_rng(1).standard_normal((1, 24, *SIZE)).astype(np.float32)
    cells = np.ascontiguousarray(feature[0].reshape(24, -1).T)
    boxes = boxes_of_all_kinds()
    found = features(cells, boxes, bins)
    rois = as_rois(torch.from_numpy(boxes))
    expected = reference_roi_align(torch.from_numpy(feature), rois, bins, 8).flatten(2)
    np.testing.assert_allclose(found, expected.transpose(1, 2), atol=2e-6)
    assert not found[-1].any(), "a box without area"
    assert features(cells, boxes[:0], bins).shape == (0, bins * bins, 24)


def test_a_bin_reads_few_cells() -> None:
    """Only cells that samples touch: a map that is NaN elsewhere gives numbers."""
    cells = np.full((SIZE[0] * SIZE[1], 1), np.nan, np.float32)
    cells.reshape(*SIZE)[2:9, 3:11] = 1.0
    found = features(cells, np.array([[30, 22, 80, 66]], np.float32), 7)
    np.testing.assert_allclose(found, 1.0, rtol=1e-6)


def test_levels_are_the_reference_s() -> None:
    sides = np.concatenate([[1.0, 55.9, 111.99, 112.0, 223.99, 224.0, 448.0, 5000.0]]) * 1.0
    generator = np.random.default_rng(2)
    sides = np.concatenate([sides, generator.uniform(1, 900, 1000)])
    boxes = np.stack([np.zeros_like(sides), np.zeros_like(sides), sides, sides], axis=1)
    boxes = boxes.astype(np.float32)
    expected = roi_level(torch.from_numpy(boxes), 56.0)
    assert roi_levels(boxes, 56.0, 4).tolist() == expected.tolist()
    assert set(expected.tolist()) == {0, 1, 2, 3}
