"""Gathers and scatters.

Negative indices count from the end, as iOS 15 and 16 define. iOS 17 leaves them undefined.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from export.targets.coreml.ops.operator_types import Operator, UnsupportedError

# `validate_indices` makes Core ML raise an error on indices out of bounds; torch always does.


def _wrapped(indices: Tensor, size: int) -> Tensor:
    indices = indices.long()
    return torch.where(indices < 0, indices + size, indices)


def _gather(
    x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False
) -> Tensor:
    axis %= x.ndim
    shape = [*x.shape[:axis], *indices.shape[batch_dims:], *x.shape[axis + 1 :]]
    picked = _wrapped(indices, x.shape[axis])
    if batch_dims == 0:
        return x.index_select(axis, picked.flatten()).reshape(shape)
    batch = math.prod(x.shape[:batch_dims])
    before = math.prod(x.shape[batch_dims:axis])
    after = math.prod(x.shape[axis + 1 :])
    picked = picked.reshape(batch, 1, -1, 1).expand(batch, before, -1, after)
    return x.reshape(batch, before, x.shape[axis], after).gather(2, picked).reshape(shape)


def _gather_along_axis(
    x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool = False
) -> Tensor:
    return x.gather(axis, _wrapped(indices, x.shape[axis]))


def _gather_nd(
    x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool = False
) -> Tensor:
    depth = indices.shape[-1]
    batch = math.prod(x.shape[:batch_dims])
    flat = x.reshape(batch, *x.shape[batch_dims:])
    tuples = indices.reshape(batch, -1, depth)
    picks = [_wrapped(tuples[..., i], flat.shape[1 + i]) for i in range(depth)]
    picked = flat[(torch.arange(batch)[:, None], *picks)]
    return picked.reshape(*indices.shape[:-1], *x.shape[batch_dims + depth :])


def _scattered(data: Tensor, targets: Tensor, updates: Tensor, mode: str) -> Tensor:
    """`data` with `updates` combined into the flat positions `targets`; both have one shape."""
    flat, at, values = data.flatten(), targets.flatten(), updates.flatten()
    if mode == "update":
        out = flat.scatter(0, at, values)
    elif mode in ("add", "sub"):
        out = flat.scatter_add(0, at, values if mode == "add" else -values)
    elif mode in ("mul", "max", "min"):
        reduce = {"mul": "prod", "max": "amax", "min": "amin"}[mode]
        out = flat.scatter_reduce(0, at, values, reduce)
    elif mode == "div":
        out = flat / torch.ones_like(flat).scatter_reduce(0, at, values, "prod")
    else:
        raise UnsupportedError(f"mode {mode}")
    return out.view(data.shape)


def _positions(data: Tensor) -> Tensor:
    """The flat position of each element; gathering from it gives the targets of a scatter."""
    return torch.arange(data.numel()).view(data.shape)


def _scatter(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    return _scattered(data, _gather(_positions(data), indices, axis), updates, mode)


def _scatter_along_axis(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    return _scattered(data, _gather_along_axis(_positions(data), indices, axis), updates, mode)


def _scatter_nd(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    return _scattered(data, _gather_nd(_positions(data), indices), updates, mode)


OPERATORS: dict[str, Operator] = {
    "gather": _gather,
    "gather_along_axis": _gather_along_axis,
    "gather_nd": _gather_nd,
    "scatter": _scatter,
    "scatter_along_axis": _scatter_along_axis,
    "scatter_nd": _scatter_nd,
}
