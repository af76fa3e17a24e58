"""3x3 windows at stride 2, in any layout whose column axis follows the row axis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def pad_to_even(x: Tensor, row_axis: int) -> Tensor:
    """Repeats the last row or column if their number is odd.

    A mean over 2x2 pixels is then the mean over the pixels that exist.
    """
    for axis in (row_axis + 1, row_axis):
        if x.shape[axis] % 2:
            x = torch.cat([x, x.narrow(axis, x.shape[axis] - 1, 1)], dim=axis)
    return x


def overlap_add(taps: Sequence[Tensor], row_axis: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Adds the nine window outputs where windows overlap.

    An output pixel in an even row and an even column lies in one window, with one odd coordinate in
    two, with two in four. Windows beyond the far border do not exist and add zero.

    Args:
        taps: the window outputs, each of the size of the map of windows.
        row_axis: axis of their rows.

    Returns:
        The output pixels in (even, even), (even, odd), (odd, even) and (odd, odd) rows and columns.
    """

    def from_right(tap: Tensor) -> Tensor:
        return _from_next(tap, row_axis + 1)

    def from_below(tap: Tensor) -> Tensor:
        return _from_next(tap, row_axis)

    even_odd = taps[5] + from_right(taps[3])
    odd_even = taps[7] + from_below(taps[1])
    odd_odd = taps[8] + from_right(taps[6]) + from_below(taps[2] + from_right(taps[0]))
    return taps[4], even_odd, odd_even, odd_odd


def interleave_parities(even: Tensor, odd: Tensor) -> Tensor:
    """Interleaves four maps to one by concatenating whole rows.

    With channels last, two maps concatenated on the channels have the memory order of one row of
    interleaved pixels. A row of `even` followed by a row of `odd` is two rows of the result.

    Args:
        even: (B, h, w, 2*C), pixels of even rows: first those of even columns, then of odd ones.
        odd: the same for odd rows.

    Returns:
        (B, 2h, 2w, C).
    """
    batch, rows, columns, channels = even.shape
    halves = [half.reshape(batch * rows, 1, -1) for half in (even, odd)]
    return torch.cat(halves, dim=1).reshape(batch, 2 * rows, 2 * columns, channels // 2)


def fold_taps(taps: Sequence[Tensor]) -> Tensor:
    """Adds nine window outputs (B, h, w, C) where windows overlap: one map (B, 2h, 2w, C)."""
    even_even, even_odd, odd_even, odd_odd = overlap_add(taps, row_axis=1)
    even = torch.cat([even_even, even_odd], dim=-1)
    odd = torch.cat([odd_even, odd_odd], dim=-1)
    return interleave_parities(even, odd)


def _from_next(x: Tensor, axis: int) -> Tensor:
    """The value of the next window along an axis; zero for the last window."""
    return F.pad(x.narrow(axis, 1, x.shape[axis] - 1), [0, 0] * (x.ndim - 1 - axis) + [0, 1])
