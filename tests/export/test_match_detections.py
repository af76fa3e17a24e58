"""Masks are compared at the same pixels, whatever boxes they lie in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.parity.match_detections import match_detections
from export.session import Outputs

SIDE = 28


def outputs(box: list[float], mask: NDArray[np.float32]) -> Outputs:
    return {
        "boxes": np.array([box], np.float32),
        "scores": np.ones(1, np.float32),
        "labels": np.zeros(1, np.int64),
        "masks": mask[None],
        "semantic": np.zeros((1, 2, 4, 4), np.float32),
    }


def edge(box: list[float]) -> NDArray[np.float32]:
    """A slanted edge in the image, as a mask in a box."""
    cells = (np.arange(SIDE) + 0.5) / SIDE
    x = box[0] + (box[2] - box[0]) * cells[None, :]
    y = box[1] + (box[3] - box[1]) * cells[:, None]
    return (1 / (1 + np.exp(-(x - 30 + 0.5 * (y - 45)) / 1.5))).astype(np.float32)


def test_a_mask_is_taken_at_the_pixels_of_the_other_box() -> None:
    box, moved = [15.0, 20.0, 45.0, 70.0], [15.1, 20.1, 45.2, 69.8]
    expected, actual = outputs(box, edge(box)), outputs(moved, edge(moved))
    before = np.abs(actual["masks"] - expected["masks"]).max()
    mine, other, unpaired = match_detections(actual, expected)
    assert unpaired == 0
    assert np.array_equal(mine["boxes"], actual["boxes"]), "the boxes differ as they did"
    inside = np.abs(mine["masks"] - other["masks"])[:, 1:-1, 1:-1].max()
    assert before > 0.02
    assert inside < 0.2 * before


def test_a_wrong_mask_stays_wrong() -> None:
    box, moved = [15.0, 20.0, 45.0, 70.0], [15.1, 20.1, 45.2, 69.8]
    mine, other, _ = match_detections(outputs(moved, edge(moved).T.copy()), outputs(box, edge(box)))
    assert np.abs(mine["masks"] - other["masks"]).max() > 0.5


def test_what_does_not_move_with_its_box_is_left_where_it_is() -> None:
    """Such as the pattern that a transposed convolution leaves in each cell."""
    box, moved = [15.0, 20.0, 45.0, 70.0], [15.1, 20.1, 45.2, 69.8]
    mask = np.indices((SIDE, SIDE)).sum(axis=0).astype(np.float32) % 2
    mine, other, _ = match_detections(outputs(moved, mask), outputs(box, mask))
    assert np.array_equal(mine["masks"], other["masks"])


def test_masks_in_the_same_box_are_left_as_they_are() -> None:
    box = [15.0, 20.0, 45.0, 70.0]
    mask = edge(box) + np.float32(0.01)
    mine, _, _ = match_detections(outputs(box, mask), outputs(box, edge(box)))
    assert np.array_equal(mine["masks"][0], mask)
