"""Mask pasting: the small mask of a box, drawn into the image.

NumPy only, as it runs at display resolution after the network; the Android app mirrors it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def _taps(
    low: np.float32, high: np.float32, pixels: int, cells: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where the pixels of one axis fall in a mask that has a ring of one zero cell around it.

    Returns the index of the cell before each pixel, and the share of the cell after it.
    """
    if high > low:
        centres = np.arange(pixels, dtype=np.float32) + np.float32(0.5)
        position = (centres - low) / (high - low) * np.float32(cells) - np.float32(0.5)
    else:
        # A box without length shows its middle everywhere along the axis: what the official code
        # makes of the division by zero.
        position = np.full(pixels, (cells - 1) / 2, dtype=np.float32)
    position = np.clip(position, -1, cells)  # on the ring, in which everything beyond ends
    cell = np.floor(position)
    return cell.astype(np.int64) + 1, position - cell


def _between(
    before: NDArray[np.float32], after: NDArray[np.float32], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    return before * (np.float32(1) - share) + after * share


def paste_mask(
    mask: NDArray[np.float32], box: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """The probability that each pixel of the image belongs to the instance.

    Each pixel centre samples the mask bilinearly at its relative place in the box. Outside the
    mask the probability is zero, so a mask fades out over the half cell around its box.

    Args:
        mask: probabilities (cells, cells).
        box: x1, y1, x2, y2 in pixels of the image; it may leave the image.
        size: (height, width) of the image.

    Returns:
        Probabilities (height, width).
    """
    ringed = np.pad(mask, ((1, 2), (1, 2)))  # the second cell is never weighted, only indexed
    row, row_share = _taps(box[1], box[3], size[0], mask.shape[0])
    column, column_share = _taps(box[0], box[2], size[1], mask.shape[1])
    rows = _between(ringed[row], ringed[row + 1], row_share[:, None])  # (height, cells + 3)
    return _between(rows[:, column], rows[:, column + 1], column_share)


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
        threshold: probability from which on a pixel belongs to the instance.
    """
    pasted = np.zeros((len(masks), *size), dtype=np.bool_)
    for index, (mask, box) in enumerate(zip(masks, boxes, strict=True)):
        pasted[index] = paste_mask(mask, box, size) >= np.float32(threshold)
    return pasted
