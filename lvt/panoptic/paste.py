"""Mask pasting: resizes the small mask of each box into the image.

Uses NumPy only, because it runs at display resolution after the network; the Android app has the
same steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def _interpolation(
    low: np.float32, high: np.float32, pixels: int, cells: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Interpolation of one axis in a mask with a border of one zero cell.

    Returns:
        For each pixel, the index of the cell before it, and the weight of the cell after it.
    """
    if high > low:
        centres = np.arange(pixels, dtype=np.float32) + np.float32(0.5)
        position = (centres - low) / (high - low) * np.float32(cells) - np.float32(0.5)
    else:
        # A box without length has the value of its middle along the whole axis, which is the result
        # of the division by zero in the official code.
        position = np.full(pixels, (cells - 1) / 2, dtype=np.float32)
    position = np.clip(position, -1, cells)  # positions beyond the mask fall on its border
    cell = np.floor(position)
    return cell.astype(np.int64) + 1, position - cell


def _interpolate(
    before: NDArray[np.float32], after: NDArray[np.float32], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    return before * (np.float32(1) - share) + after * share


def paste_mask(
    mask: NDArray[np.float32], box: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """The probability of each pixel of the image to belong to the instance.

    The mask is sampled bilinearly at the centre of each pixel. Outside the mask the probability
    is zero, so that it decreases over half a cell around the box.

    Args:
        mask: probabilities (cells, cells).
        box: x1, y1, x2, y2 in pixels of the image; it may extend beyond the image.
        size: (height, width) of the image.

    Returns:
        Probabilities (height, width).
    """
    padded = np.pad(mask, ((1, 2), (1, 2)))  # the second cell is indexed with a weight of 0
    row, row_share = _interpolation(box[1], box[3], size[0], mask.shape[0])
    column, column_share = _interpolation(box[0], box[2], size[1], mask.shape[1])
    rows = _interpolate(padded[row], padded[row + 1], row_share[:, None])  # (height, cells + 3)
    return _interpolate(rows[:, column], rows[:, column + 1], column_share)


def paste_masks(
    masks: NDArray[np.float32],
    boxes: NDArray[np.float32],
    size: tuple[int, int],
    threshold: float,
) -> NDArray[np.bool_]:
    """The pixels of each instance, (K, height, width).

    Args:
        masks: probabilities (K, cells, cells).
        boxes: (K, 4) in pixels of the image.
        size: (height, width) of the image.
        threshold: a pixel belongs to the instance from this probability on.
    """
    pasted = np.zeros((len(masks), *size), dtype=np.bool_)
    for index, (mask, box) in enumerate(zip(masks, boxes, strict=True)):
        pasted[index] = paste_mask(mask, box, size) >= np.float32(threshold)
    return pasted
