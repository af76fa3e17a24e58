"""3x3 windows at stride 2, as CSA has them, in any layout whose columns follow its rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def pad_to_even(x: Tensor, row_axis: int) -> Tensor:
    """Repeats the last row and column where their number is odd.

    The mean over 2x2 is then that of the pixels that exist.
    """
    for axis in (row_axis + 1, row_axis):
        if x.shape[axis] % 2:
            x = torch.cat([x, x.narrow(axis, x.shape[axis] - 1, 1)], dim=axis)
    return x


def overlap_add(taps: Sequence[Tensor], row_axis: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Adds nine window outputs where windows overlap.

    Output pixels with even row and column lie in one window, with one odd coordinate in two, with
    both odd in four. Windows past the far border do not exist; their share is zero.

    Args:
        taps: each as large as the map of windows.
        row_axis: of the taps.

    Returns:
        The output's pixels at (even, even), (even, odd), (odd, even) and (odd, odd) rows and
        columns.
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
    """Four maps as the pixels of one, by joining rows: no pixel moves by itself.

    Two maps side by side on the channels, channels last, are already the pixels of a row in turn;
    and a row of the even ones before a row of the odd ones is two rows.

    Args:
        even: (B, h, w, 2*C), pixels of even rows: those of even columns, then of odd ones.
        odd: those of odd rows.

    Returns:
        (B, 2h, 2w, C).
    """
    batch, rows, columns, channels = even.shape
    halves = [half.reshape(batch * rows, 1, -1) for half in (even, odd)]
    return torch.cat(halves, dim=1).reshape(batch, 2 * rows, 2 * columns, channels // 2)


def fold_taps(taps: Sequence[Tensor]) -> Tensor:
    """Nine window outputs (B, h, w, C) as one map (B, 2h, 2w, C), added where windows overlap."""
    even_even, even_odd, odd_even, odd_odd = overlap_add(taps, row_axis=1)
    even = torch.cat([even_even, even_odd], dim=-1)
    odd = torch.cat([odd_even, odd_odd], dim=-1)
    return interleave_parities(even, odd)


def _from_next(x: Tensor, axis: int) -> Tensor:
    """What the next window on an axis has; zero for the last."""
    return F.pad(x.narrow(axis, 1, x.shape[axis] - 1), [0, 0] * (x.ndim - 1 - axis) + [0, 1])
