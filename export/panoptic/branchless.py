"""Decisions as arithmetic, which runtimes keep on their fast path, unlike comparisons."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor


def positive(x: Tensor) -> Tensor:
    """1.0 where x > 0, else 0.0; exact but for NaN, which stays."""
    return F.relu(x.clamp(max=1.0).ceil())


def not_negative(x: Tensor) -> Tensor:
    """1.0 where x >= 0, else 0.0."""
    return 1.0 - positive(-x)


def one_hot(index: Tensor, count: int) -> Tensor:
    """(N,) whole numbers, as floats, to (N, count) of 0.0 and 1.0."""
    distance = (index.reshape(-1, 1) - constants(range(count), index).reshape(1, -1)).abs()
    return 1.0 - distance.clamp(max=1.0)


def constants(numbers: Iterable[float], like: Tensor) -> Tensor:
    """Numbers as a constant of the graph (N,); `arange` would be computed in each run."""
    values = [float(number) for number in numbers]
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def take(table: Tensor, index: Tensor) -> Tensor:
    """Rows (M, ...) of a matrix (N, C), or entries of a vector (N,), at `index` (M,).

    As an embedding: the one form of a gather that every converter makes one operator of.
    """
    if table.ndim == 1:
        return F.embedding(index, table.reshape(-1, 1)).reshape(-1)
    return F.embedding(index, table)
