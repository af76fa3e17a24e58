"""Weights of the nine taps of a 3x3 window as 1x1 convolutions.

CSA has one value matrix for each tap, Outlook Attention one for all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.rewrite.linear import frozen
from lvt.attention import CSA, OutlookAttention, WindowAttention

TAPS = WindowAttention.TAPS


def value_matrices(reference: WindowAttention) -> Tensor:
    """The value matrices of the taps: (9, out, in), or (1, out, in) if the taps share one."""
    dim = reference.proj.in_features
    if isinstance(reference, OutlookAttention):
        return reference.v.weight[None]
    assert isinstance(reference, CSA)
    return reference.weight.weight.reshape(TAPS, dim, dim)


def tap_weight(reference: WindowAttention, *taps: int) -> nn.Parameter:
    """The weight of one 1x1 convolution that computes the values of several taps.

    Its output channels are those of the first tap, then those of the second, and so on. If the
    taps share a matrix, the convolution computes their values once; see `values_of_tap`.
    """
    matrices = value_matrices(reference)
    selected = [matrices[tap] for tap in taps] if len(matrices) > 1 else [matrices[0]]
    return frozen(torch.cat(selected)[:, :, None, None])


def values_of_tap(values: Tensor, place: int, dim: int, axis: int) -> Tensor:
    """The values of one tap, cut out of the result of a convolution with a `tap_weight`.

    Args:
        values: the result of the convolution.
        place: position of the tap among those that the weight was made for.
        dim: number of channels of one tap.
        axis: the channel axis of `values`.
    """
    if values.shape[axis] == dim:
        return values
    # Not `narrow`, which coremltools does not convert here.
    channels = slice(place * dim, (place + 1) * dim)
    return values[(*[slice(None)] * axis, channels)]


def values_of_all_taps(
    even_even: Tensor,
    left_right: Tensor,
    above_below: Tensor,
    corners: Tensor,
    *,
    map_size: tuple[int, int],
    dim: int,
    row_axis: int,
    channel_axis: int,
) -> list[Tensor]:
    """The values W_j x_j of the nine taps, as views of four maps; each of `map_size` windows.

    A window's centre lies on an even row and an even column, so taps on its opposite sides look at
    the same pixels one window apart. The zero padding adds a pixel before the first window and one
    after the last: the near side takes the map from its start, the far side from its second pixel.

    Args:
        even_even: values of tap 4, of pixels in even rows and columns.
        left_right: of taps 3 and 5, padded by one column.
        above_below: of taps 1 and 7, padded by one row.
        corners: of taps 0, 2, 6 and 8, padded by one row and one column.
        map_size: rows and columns of windows.
        dim: number of channels of one tap.
        row_axis: axis of the rows; the columns follow.
        channel_axis: axis of the channels.
    """
    rows, columns = map_size
    near_row, far_row = slice(0, rows), slice(1, rows + 1)
    near_column, far_column = slice(0, columns), slice(1, columns + 1)
    every_row = slice(None)
    leading = (slice(None),) * row_axis

    def tap(values: Tensor, place: int, *window: slice) -> Tensor:
        return values_of_tap(values, place, dim, channel_axis)[(*leading, *window)]

    return [
        tap(corners, 0, near_row, near_column),
        tap(above_below, 0, near_row),
        tap(corners, 1, near_row, far_column),
        tap(left_right, 0, every_row, near_column),
        even_even,
        tap(left_right, 1, every_row, far_column),
        tap(corners, 2, far_row, near_column),
        tap(above_below, 1, far_row),
        tap(corners, 3, far_row, far_column),
    ]
