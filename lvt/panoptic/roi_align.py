"""RoIAlign: samples the features of each box on a grid of fixed size.

Bilinear sampling is separable: the grid of a box is `A_y F A_x^T`, with a small matrix for each
axis that averages the samples of every bin. Cells without samples have zero weights; the product
skips the rows and columns outside the box.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sampling_matrices(low: Tensor, high: Tensor, bins: int, cells: int) -> Tensor:
    """Weights of the cells of one axis in each bin of each box, (N, bins, cells).

    Every bin averages as many evenly spaced samples as its length in cells, rounded up. A sample is
    interpolated between cell centres. Beyond the outermost centres it has the value of the nearest
    cell, and more than one cell beyond them it is zero. The weights of an empty interval are zero.

    Args:
        low: (N,), begin of the boxes, in cells; the centre of cell i is at i.
        high: (N,), end of the boxes.
        bins: number of bins of the output grid.
        cells: number of cells of the feature map.
    """
    width = ((high - low) / bins)[:, None, None]  # of each bin
    samples = width.ceil()
    index = torch.arange(int(samples.max()) if len(low) else 0, device=low.device)
    start = low[:, None, None] + torch.arange(bins, device=low.device)[:, None] * width
    divisor = samples.clamp(min=1)
    position = start + (index + 0.5) * width / divisor  # (N, bins, samples)
    counts = (index < samples) & (position >= -1) & (position <= cells)
    position = position.clamp(0, cells - 1)
    floor = position.floor()
    upper = torch.where(counts, (position - floor) / divisor, 0)
    lower = torch.where(counts, (floor + 1 - position) / divisor, 0)
    cell = floor.long()
    weights = low.new_zeros(len(low), bins, cells)
    weights.scatter_add_(2, cell, lower)
    return weights.scatter_add_(2, (cell + 1).clamp(max=cells - 1), upper)


def roi_align(feature: Tensor, rois: Tensor, size: int, stride: int) -> Tensor:
    """Features of each box on a size x size grid, (N, C, size, size).

    Coordinates are shifted by half a cell, so that the centres of pixels and cells coincide.

    Args:
        feature: (B, C, H, W).
        rois: (N, 5), index in the batch and box (x1, y1, x2, y2) in network pixels, x2 >= x1 and
            y2 >= y1. Boxes may extend beyond the image; those without width or height give zeros.
        size: side of the grid.
        stride: network pixels per cell of `feature`.
    """
    height, width = feature.shape[-2:]
    x1, y1, x2, y2 = (rois[:, 1:] / stride - 0.5).unbind(dim=1)
    rows = sampling_matrices(y1, y2, size, height)
    columns = sampling_matrices(x1, x2, size, width)
    out = []
    for image, y, x, (top, bottom), (left, right) in zip(
        rois[:, 0].long().tolist(), rows, columns, _support(rows), _support(columns), strict=True
    ):
        window = feature[image, :, top:bottom, left:right]
        out.append(y[:, top:bottom] @ (window @ x[:, left:right].T))
    return torch.stack(out) if out else feature.new_zeros(0, feature.shape[1], size, size)


def _support(weights: Tensor) -> list[list[int]]:
    """For each box of (N, bins, cells), the first cell with a weight and the one after the last."""
    used = weights.amax(dim=1) > 0  # (N, cells)
    first = used.int().argmax(dim=1)
    end = used.shape[1] - used.flip(1).int().argmax(dim=1)
    return torch.stack([first, end], dim=1).tolist()
