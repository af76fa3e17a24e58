"""RoIAlign as two matrix products for each box, with matrices made by arithmetic alone.

`A_y F A_x^T` with interpolation matrices A: exact for the official adaptive sampling, where a bin
takes as many evenly spaced samples as it is long, rounded up. The weight of a cell in a bin is a
sum of hat functions at the samples near the cell. Samples of one bin stand more than half a cell
apart (or there is only one), so at most four lie within a cell's reach, and their numbers follow
from a division: no loop over samples, no gather, no comparison, and fixed shapes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from export.panoptic.arithmetic import constants, positive

# All numbers are floats: ExecuTorch casts an integer operand anew in every operation.

_CANDIDATES = 5
"""Samples looked at for a cell: four can lie in its reach, one more for rounding."""


def sampling_matrix(low: Tensor, high: Tensor, bins: int, cells: int) -> Tensor:
    """Weights of the cells of one axis in each bin of each box, (N, bins, cells).

    Equals `lvt.panoptic.roi_align.sampling_matrices`.

    Args:
        low: (N,) or (N, 1), where the boxes begin, in cells; cell i is centred on i.
        high: as `low`, where they end.
        bins: size of the output grid.
        cells: size of the feature map.
    """
    low, high = low.reshape(-1, 1, 1), high.reshape(-1, 1, 1)
    width = (high - low) / float(bins)  # of a bin, (N, 1, 1)
    samples = width.ceil()
    at_least_one = samples.clamp(min=1.0)
    # With one sample any spacing will do, but zero cannot be divided by.
    single = 1.0 - positive(samples - 1.0)
    spacing = width / at_least_one * (1.0 - single) + single
    # All candidates at once, side by side on the axis of the bins.
    slots = range(_CANDIDATES * bins)
    bin_number = constants((slot % bins for slot in slots), low).reshape(1, -1, 1)
    candidate = constants((slot // bins for slot in slots), low).reshape(1, -1, 1)
    cell = constants(range(cells), low).reshape(1, 1, cells)
    first_position = low + bin_number * width + 0.5 * width / at_least_one
    number = ((cell - 1.0 - first_position) / spacing).ceil() + candidate
    position = first_position + number * spacing  # (N, candidates*bins, cells)
    # Up to one cell outside the map a sample takes the border cell; beyond, it counts as zero.
    # Each term is at least one where its sample is not there: before the first of the bin, after
    # the last, off the map.
    absent = (
        F.relu(-number)
        + F.relu(number - samples + 1.0)
        + positive(position - float(cells))
        + positive(-1.0 - position)
    )
    distance = (position.clamp(0.0, cells - 1.0) - cell).abs()
    weight = F.relu(1.0 - distance) * F.relu(1.0 - absent)
    total = weight[:, :bins]
    for start in range(bins, _CANDIDATES * bins, bins):
        total = total + weight[:, start : start + bins]
    return total / at_least_one


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
    scaled = boxes / float(stride) - 0.5
    columns = sampling_matrix(scaled[:, 0:1], scaled[:, 2:3], size, width)  # (N, size, W)
    rows = sampling_matrix(scaled[:, 1:2], scaled[:, 3:4], size, height)  # (N, size, H)
    # One large product over all boxes first: (N*size, W) x (W, H*C). Doubled here and halved there:
    # straight from int8, TFLite takes a right operand for a weight, which no delegate does.
    by_column = (feature * 2.0).permute(0, 3, 2, 1).reshape(1, width, height * channels)
    narrow = torch.bmm(columns.reshape(1, count * size, width) * 0.5, by_column)
    narrow = narrow.reshape(count, size, height, channels).permute(0, 2, 1, 3)
    out = torch.bmm(rows, narrow.reshape(count, height, size * channels))
    return out.reshape(count, size, size, channels).permute(0, 3, 1, 2)
