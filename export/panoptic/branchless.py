"""Comparisons and selections as arithmetic, which accelerators run, unlike comparisons."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor


def positive(x: Tensor) -> Tensor:
    """1.0 where x > 0, else 0.0. Exact for every value; NaN stays NaN."""
    return F.relu(x.clamp(max=1.0).ceil())


def not_negative(x: Tensor) -> Tensor:
    """1.0 where x >= 0, else 0.0."""
    return 1.0 - positive(-x)


def one_hot(index: Tensor, count: int) -> Tensor:
    """One-hot rows (N, count) of 0.0 and 1.0, for indices (N,) that are whole floats."""
    distance = (index.reshape(-1, 1) - constants(range(count), index).reshape(1, -1)).abs()
    return 1.0 - distance.clamp(max=1.0)


def constants(numbers: Iterable[float], like: Tensor) -> Tensor:
    """A constant (N,) of the graph with the dtype of `like`; `arange` would run every time."""
    values = [float(number) for number in numbers]
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def take(table: Tensor, index: Tensor) -> Tensor:
    """Rows (M, C) of a matrix (N, C), or elements (M,) of a vector (N,), at `index` (M,).

    It is an embedding, the only gather that every converter turns into a single operator.
    """
    if table.ndim == 1:
        return F.embedding(index, table.reshape(-1, 1)).reshape(-1)
    return F.embedding(index, table)
