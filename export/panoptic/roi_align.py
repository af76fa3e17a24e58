"""RoIAlign as two matrix products for each box, with matrices made by arithmetic alone.

`A_y F A_x^T` with interpolation matrices A: exact for the official adaptive sampling, where a bin
takes as many evenly spaced samples as it is long, rounded up. What a bin's samples give to a cell
is how much of them lies before the cell's far edge, less how much lies before its near one; and
how many lie before a place follows from a division: no loop over samples, no gather, no
comparison, and fixed shapes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from export.panoptic.branchless import constants, positive
from export.rewrite.chunked_cat import chunked_cat

# All numbers are floats: ExecuTorch casts an integer operand anew in every operation.

_PIECE = 12_000_000
"""Values between the two products at a time, 48 MB: those of all channels can be 320 MB."""


def sampling_matrix(low: Tensor, high: Tensor, bins: int, cells: int) -> Tensor:
    """Weights of the cells of one axis in each bin of each box, (N, bins, cells).

    Equals `lvt.panoptic.roi_align.sampling_matrices` of boxes within the map.

    Args:
        low: (N,) or (N, 1), where the boxes begin, in cells, -0.5 or more; cell i is centred on i.
        high: as `low`, where they end, `cells` - 0.5 or less.
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
    first_sample = low + constants(range(bins), low).reshape(1, -1, 1) * width
    first_sample = first_sample + 0.5 * width / at_least_one
    # A sample at p gives 1 - |p - c| to the cells c beside it, which is the part of [p, p+1] that
    # lies before c+1, less that before c. Outermost cells take what lies beyond them as well.
    edges = constants([-1.0, *range(1, cells), cells + 1.0], low).reshape(1, 1, -1)
    past = edges - first_sample  # (N, bins, cells + 1)
    begun = torch.minimum(F.relu(past / spacing).ceil(), samples)  # samples before the edge
    whole = torch.minimum(F.relu((past - 1.0) / spacing).ceil(), samples)  # a cell before it
    half = 0.5 * spacing
    # The others are cut by the edge: an arithmetic series.
    before = whole + (begun - whole) * (past + half - half * (begun + whole))
    before = before / at_least_one
    return before[:, :, 1:] - before[:, :, :-1]


def separable_roi_align(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    """Features of each box on a size x size grid, (N, C, size, size).

    Args:
        feature: (1, C, H, W).
        boxes: (N, 4) in network pixels, within the image; one without width or height gives zeros.
        size: side of the grid.
        stride: network pixels a cell of `feature`.
    """
    height, width = feature.shape[2:]
    count = boxes.shape[0]
    scaled = boxes / float(stride) - 0.5
    columns = sampling_matrix(scaled[:, 0:1], scaled[:, 2:3], size, width)  # (N, size, W)
    rows = sampling_matrix(scaled[:, 1:2], scaled[:, 3:4], size, height)  # (N, size, H)
    columns = columns.reshape(1, count * size, width) * 0.5
    rows = rows.transpose(1, 2)
    outs = []
    for piece in _pieces(feature, count * size):
        # One large product over all boxes first: (N*size, W) x (W, C*H). Doubled here and halved
        # there: straight from int8, TFLite takes a right operand for a weight, which no delegate
        # does. What it gives is the left operand of the next as it lies in memory; as the right
        # one XNNPACK would copy it.
        by_column = (piece * 2.0).permute(0, 3, 1, 2).reshape(1, width, -1)
        narrow = torch.bmm(columns, by_column).reshape(count, -1, height)  # (N, size*C, H)
        outs.append(torch.bmm(narrow, rows).reshape(count, size, -1, size))
    return chunked_cat(outs, axis=2).permute(0, 2, 3, 1)


def _pieces(feature: Tensor, rows: int) -> list[Tensor]:
    """The channels (1, C, H, W) in as few equal parts as `_PIECE` allows for `rows` of (C, H)."""
    channels, height = feature.shape[1:3]
    divisors = (count for count in range(1, channels) if channels % count == 0)
    small = (count for count in divisors if rows * channels * height <= count * _PIECE)
    count = next(small, channels)
    if count == 1:
        return [feature]  # a slice of everything would leave ExecuTorch's fast path
    width = channels // count
    return [feature[:, first : first + width] for first in range(0, channels, width)]
