"""RoIAlign as two matrix products for each box, with matrices made by arithmetic alone.

`A_y F A_x^T` with interpolation matrices A: exact for the official adaptive sampling, where a bin
takes as many evenly spaced samples as it is long, rounded up. The weight of a cell in a bin is a
sum of hat functions at the samples near the cell. Samples of one bin stand more than half a cell
apart (or there is only one), so at most four lie within a cell's reach, and their numbers follow
from a division: no loop over samples, no gather, no scatter, and fixed shapes.
"""

from __future__ import annotations

import torch
from torch import Tensor

_CANDIDATES = 5
"""Samples looked at for a cell: four can lie in its reach, one more for rounding."""


def sampling_matrix(low: Tensor, high: Tensor, bins: int, cells: int) -> Tensor:
    """Weights of the cells of one axis in each bin of each box, (N, bins, cells).

    Equals `lvt.panoptic.roi_align.sampling_matrices`.

    Args:
        low: (N,), where the boxes begin, in cells; cell i is centred on i.
        high: (N,), where they end.
        bins: size of the output grid.
        cells: size of the feature map.
    """
    width = ((high - low) / bins)[:, None, None]  # of a bin, (N, 1, 1)
    samples = width.ceil()
    single = (samples < 1.5).to(low.dtype)
    # With one sample any spacing will do, but zero cannot be divided by.
    spacing = width / samples.clamp(min=1) * (1 - single) + single
    start = (
        low[:, None, None] + torch.arange(bins, dtype=low.dtype, device=low.device)[:, None] * width
    )
    first_position = start + 0.5 * width / samples.clamp(min=1)  # (N, bins, 1)
    cell = torch.arange(cells, dtype=low.dtype, device=low.device)[:, None]
    first = ((cell - 1 - first_position[..., None]) / spacing[..., None]).ceil()
    # (N, bins, cells, candidates)
    number = first + torch.arange(_CANDIDATES, dtype=low.dtype, device=low.device)
    position = first_position[..., None] + number * spacing[..., None]
    # Up to one cell outside the map a sample takes the border cell; beyond, it counts as zero.
    exists = (number >= 0) & (number < samples[..., None]) & (position >= -1) & (position <= cells)
    distance = (position.clamp(0, cells - 1) - cell).abs()
    weights = ((1 - distance).clamp(min=0) * exists.to(low.dtype)).sum(dim=-1)
    return weights / samples.clamp(min=1)


def separable_roi_align(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    """Features of each box on a size x size grid, (N, C, size, size).

    Args:
        feature: (1, C, H, W).
        boxes: (N, 4) in network pixels; one without width or height gives zeros.
        size: side of the grid.
        stride: network pixels a cell of `feature`.
    """
    channels, height, width = feature.shape[1:]
    count = boxes.shape[0]
    x1, y1, x2, y2 = (boxes / stride - 0.5).unbind(dim=1)
    rows = sampling_matrix(y1, y2, size, height)  # (N, size, H)
    columns = sampling_matrix(x1, x2, size, width)  # (N, size, W)
    # One large product over all boxes first: (H*C, W) x (W, N*size).
    by_row = feature[0].permute(1, 0, 2).reshape(height * channels, width)
    narrow = by_row @ columns.reshape(count * size, width).T
    narrow = narrow.reshape(height, channels, count, size).permute(2, 0, 1, 3)
    narrow = narrow.reshape(count, height, channels * size)
    out = rows @ narrow  # (N, size, C*size)
    return out.reshape(count, size, channels, size).permute(0, 2, 1, 3)
