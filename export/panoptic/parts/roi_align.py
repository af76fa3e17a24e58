"""RoIAlign by points: the features of a box as weighted sums of the cells that its samples touch.

Every bin of a box's grid averages evenly spaced samples, as many along each axis as the bin's
length in cells, rounded up. A sample is interpolated between four cells. Samples of a bin share
cells, so their weights are added up first, for each axis alone. A bin reads some 12 cells; RoIAlign
as matrix products would read whole rows and columns of the map.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from export.panoptic.parts.boxes import Floats, Indices


def roi_levels(boxes: Floats, finest_scale: float, levels: int) -> Indices:
    """The pyramid level of each box (N, 4): 0 for the finest; see `lvt.panoptic.roi_heads`."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = np.sqrt(sides[:, 0] * sides[:, 1]) / np.float32(finest_scale) + np.float32(1e-6)
    # floor(log2(side)), clamped, by comparisons, which are exact.
    reached = np.array([2.0**level for level in range(1, levels)], np.float32)
    return (side[:, None] >= reached).sum(axis=1)


class Grid(NamedTuple):
    """The map that each box is read from: arrays (N,) of its stride, height and width."""

    stride: Floats
    height: Indices
    width: Indices

    def of(self, rows: Indices) -> Grid:
        """Some of the rows."""
        return Grid(self.stride[rows], self.height[rows], self.width[rows])


class Points(NamedTuple):
    """Weighted cells of the bins of boxes.

    Attributes:
        weights: (K,) of all bins, one after the other.
        cells: (K,), index of each cell in its map, in the order of rows and columns.
        ends: (N*bins*bins + 1,), where each bin's cells begin, and the end of the last.
    """

    weights: Floats
    cells: NDArray[np.int32]
    ends: Indices

    def features(self, cells: Floats, rows: slice) -> Floats:
        """Weighted sums of the cells of a map (H*W, C) for some of the bins, (rows, C)."""
        ends = self.ends[rows.start : rows.stop + 1]
        some = slice(ends[0], ends[-1])
        matrix = sparse.csr_array(
            (self.weights[some], self.cells[some], ends - ends[0]),
            shape=(len(ends) - 1, len(cells)),
        )
        sums: Floats = matrix @ cells
        return sums


def roi_points(boxes: Floats, grid: Grid, bins: int) -> Points:
    """The cells that the samples of boxes touch.

    Args:
        boxes: (N, 4) in network pixels, within the image, with an area.
        grid: the maps that they are read from.
        bins: side of a box's grid.
    """
    scaled = boxes / grid.stride[:, None] - np.float32(0.5)
    rows = _axis_weights(scaled[:, 1], scaled[:, 3], bins, grid.height)
    columns = _axis_weights(scaled[:, 0], scaled[:, 2], bins, grid.width)
    weights = rows.weights[:, :, None, :, None] * columns.weights[:, None, :, None, :]
    width = grid.width.astype(np.int32)[:, None, None, None, None]
    cells = rows.cells[:, :, None, :, None] * width + columns.cells[:, None, :, None, :]
    used = weights != 0
    ends = np.zeros(len(boxes) * bins * bins + 1, np.int64)
    np.cumsum(np.count_nonzero(used, axis=(3, 4)).ravel(), out=ends[1:])
    return Points(weights[used], cells[used], ends)


class _AxisWeights(NamedTuple):
    """The cells of one axis that each bin reads, and their weights: (N, bins, M) each."""

    cells: NDArray[np.int32]
    weights: Floats


def _axis_weights(low: Floats, high: Floats, bins: int, length: Indices) -> _AxisWeights:
    """Adds up the samples' weights; see `lvt.panoptic.roi_align.sampling_matrices`.

    Args:
        low: (N,), begin of the boxes, in cells; the centre of cell i is at i.
        high: (N,), end of the boxes.
        bins: number of bins.
        length: (N,), number of cells of the axis.
    """
    width = ((high - low) / np.float32(bins))[:, None, None]  # of each bin
    samples = np.ceil(width)
    index = np.arange(max(1, int(samples.max(initial=0))), dtype=np.float32)
    divisor = np.maximum(samples, np.float32(1))
    start = low[:, None, None] + np.arange(bins, dtype=np.float32)[:, None] * width
    position = start + (index + np.float32(0.5)) * width / divisor  # (N, bins, samples)
    last = (length - 1)[:, None, None]
    counts = (index < samples) & (position >= -1) & (position <= last + 1)
    position = np.clip(position, np.float32(0), last.astype(np.float32))
    cell = np.floor(position)
    upper = np.where(counts, (position - cell) / divisor, np.float32(0))
    lower = np.where(counts, (cell + np.float32(1) - position) / divisor, np.float32(0))
    # Positions rise by at most one cell from sample to sample, so a bin's cells are consecutive.
    first = cell[:, :, :1].astype(np.int32)
    offset = cell.astype(np.int32) - first
    weights = np.zeros((len(low), bins, int(offset.max(initial=0)) + 2), np.float32)
    box, bin_ = np.ogrid[: len(low), :bins]
    for sample in range(len(index)):
        weights[box, bin_, offset[:, :, sample]] += lower[:, :, sample]
        weights[box, bin_, offset[:, :, sample] + 1] += upper[:, :, sample]
    cells = first + np.arange(weights.shape[2], dtype=np.int32)
    cells = np.minimum(cells, last.astype(np.int32))
    return _AxisWeights(cells, weights)
