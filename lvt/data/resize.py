"""Resizing of 8-bit images with the same results as OpenCV and Pillow, for official pipelines.

The integer arithmetic is the specification: implementations on phones compute the same bytes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Filter = Literal["opencv_bilinear", "pillow_bilinear", "pillow_bicubic"]
FILTERS: tuple[Filter, ...] = ("opencv_bilinear", "pillow_bilinear", "pillow_bicubic")

_PILLOW = {
    "pillow_bilinear": Image.Resampling.BILINEAR,
    "pillow_bicubic": Image.Resampling.BICUBIC,
}
_WEIGHT_ONE = 1 << 11
"""The integer that stands for 1: OpenCV's bilinear weights are multiples of 1/2048."""


def resize_uint8(
    image: NDArray[np.uint8], size: tuple[int, int], method: Filter
) -> NDArray[np.uint8]:
    """Resizes (H, W, 3) uint8 to `size` (height, width).

    `opencv_bilinear` always samples four pixels (no antialiasing); the Pillow filters become wider
    with the reduction factor (antialiasing). All round to uint8.
    """
    if image.shape[:2] == size:
        return image
    if method == "opencv_bilinear":
        return _opencv_bilinear(image, size)
    # Two calls, columns first: within one call, Pillow 13 resizes rows first if the height shrinks
    # more than the width, earlier versions never do, and the order changes the rounding.
    height, width = size
    wide = Image.fromarray(image).resize((width, image.shape[0]), _PILLOW[method])
    return np.asarray(wide.resize((width, height), _PILLOW[method]))


def _positions(length: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each target position, the index of the left neighbour and the weight of the right one."""
    scale = 1.0 / (target / length)  # as OpenCV does: length / target may differ in the last bit
    centre = ((np.arange(target) + 0.5) * scale - 0.5).astype(np.float32)
    left = np.floor(centre)
    return left.astype(np.int64), centre - left


def _weights(right: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Integer weights of the left and of the right neighbour."""
    one = np.float32(_WEIGHT_ONE)
    left = np.rint((np.float32(1) - right) * one).astype(np.int32)
    return left, np.rint(right * one).astype(np.int32)


def _opencv_bilinear(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    # Columns: outside the image, the border pixel has the full weight.
    x0, fx = _positions(width, size[1])
    fx = np.where((x0 < 0) | (x0 >= width - 1), np.float32(0), fx)
    x0 = x0.clip(0, width - 1)
    x1 = (x0 + 1).clip(max=width - 1)
    a0, a1 = _weights(fx)
    wide = image.astype(np.int32)  # 255 * 2048 * 2048 / 16 still fits
    rows = wide[:, x0] * a0[:, None] + wide[:, x1] * a1[:, None]
    # Rows: outside the image, both neighbours are the border row, each with its weight.
    y0, fy = _positions(height, size[0])
    b0, b1 = _weights(fy)
    upper = rows[y0.clip(0, height - 1)] >> 4
    lower = rows[(y0 + 1).clip(0, height - 1)] >> 4
    total = (b0[:, None, None] * upper >> 16) + (b1[:, None, None] * lower >> 16)
    return (total + 2 >> 2).astype(np.uint8)
