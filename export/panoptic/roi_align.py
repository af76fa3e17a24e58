"""RoIAlign as two matrix products per box, with matrices that are computed by arithmetic alone.

The product is `A_y F A_x^T` with interpolation matrices A. It is exact for the official adaptive
sampling, in which a bin takes as many evenly spaced samples as its length in cells, rounded up. The
weight of a cell in a bin is the part of the samples before the cell's far edge, minus the part
before its near edge. The number of samples before an edge is the result of a division. So there is
no loop over samples, no gather and no comparison, and all shapes are fixed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from export.panoptic.branchless import constants, positive
from export.rewrite.chunked_cat import chunked_cat

# All numbers are floats, because ExecuTorch casts integer operands in every run.

_MAX_INTERMEDIATE = 12_000_000
"""Most values between the two products, 48 MB; all channels at once can take 320 MB."""


def sampling_matrix(low: Tensor, high: Tensor, bins: int, cells: int) -> Tensor:
    """Weights of the cells of one axis in each bin of each box, (N, bins, cells).

    Equals `lvt.panoptic.roi_align.sampling_matrices` for boxes within the map.

    Args:
        low: (N,) or (N, 1), starts of the boxes in cells, at least -0.5; i is the centre of cell i.
        high: ends of the boxes, as `low`, at most `cells` - 0.5.
        bins: number of bins of the output grid.
        cells: number of cells of the feature map.
    """
    low, high = low.reshape(-1, 1, 1), high.reshape(-1, 1, 1)
    width = (high - low) / float(bins)  # of a bin, (N, 1, 1)
    samples = width.ceil()
    at_least_one = samples.clamp(min=1.0)
    # With a single sample the spacing has no effect, but must not be zero.
    single = 1.0 - positive(samples - 1.0)
    spacing = width / at_least_one * (1.0 - single) + single
    first_sample = low + constants(range(bins), low).reshape(1, -1, 1) * width
    first_sample = first_sample + 0.5 * width / at_least_one
    # A sample at p adds 1 - |p - c| to each of the two cells c beside it. This is the part of
    # [p, p+1] before c+1 minus the part before c. Outermost cells include all beyond them.
    edges = constants([-1.0, *range(1, cells), cells + 1.0], low).reshape(1, 1, -1)
    past = edges - first_sample  # (N, bins, cells + 1)
    begun = torch.minimum(F.relu(past / spacing).ceil(), samples)  # samples before the edge
    whole = torch.minimum(F.relu((past - 1.0) / spacing).ceil(), samples)  # by a cell or more
    half = 0.5 * spacing
    # The edge cuts the other samples; their parts are an arithmetic series.
    before = whole + (begun - whole) * (past + half - half * (begun + whole))
    before = before / at_least_one
    return before[:, :, 1:] - before[:, :, :-1]


def separable_roi_align(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    """Features of each box on a size x size grid, (N, C, size, size).

    Args:
        feature: (1, C, H, W).
        boxes: (N, 4) in network pixels, within the image; a box without area gives zeros.
        size: side of the grid.
        stride: network pixels per cell of `feature`.
    """
    height, width = feature.shape[2:]
    count = boxes.shape[0]
    scaled = boxes / float(stride) - 0.5
    columns = sampling_matrix(scaled[:, 0:1], scaled[:, 2:3], size, width)  # (N, size, W)
    rows = sampling_matrix(scaled[:, 1:2], scaled[:, 3:4], size, height)  # (N, size, H)
    columns = columns.reshape(1, count * size, width) * 0.5
    rows = rows.transpose(1, 2)
    outs = []
    for piece in _split_channels(feature, count * size):
        # The first product is over all boxes, (N*size, W) x (W, C*H). Its result is the left
        # operand of the second, without a copy; XNNPACK would copy a right operand. The factors 2
        # and 0.5 keep the right operand from being int8 directly, which TFLite would treat as a
        # weight, and no delegate supports that.
        by_column = (piece * 2.0).permute(0, 3, 1, 2).reshape(1, width, -1)
        narrow = torch.bmm(columns, by_column).reshape(count, -1, height)  # (N, size*C, H)
        outs.append(torch.bmm(narrow, rows).reshape(count, size, -1, size))
    return chunked_cat(outs, axis=2).permute(0, 2, 3, 1)


def _split_channels(feature: Tensor, rows: int) -> list[Tensor]:
    """Splits (1, C, H, W) into the fewest equal groups of channels that `_MAX_INTERMEDIATE` allows.

    Args:
        feature: the map to split.
        rows: number of rows of the first product; each has C*H values.
    """
    channels, height = feature.shape[1:3]
    divisors = (count for count in range(1, channels) if channels % count == 0)
    small = (count for count in divisors if rows * channels * height <= count * _MAX_INTERMEDIATE)
    count = next(small, channels)
    if count == 1:
        return [feature]  # ExecuTorch's delegate does not take a slice of the whole tensor
    width = channels // count
    return [feature[:, first : first + width] for first in range(0, channels, width)]
