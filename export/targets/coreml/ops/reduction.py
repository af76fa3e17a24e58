"""Reductions, orderings and normalisations."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from export.targets.coreml.ops.operator_types import Operator


def _reduction(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    """An operator over the given axes, by default over all."""

    def apply(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
        return function(x, list(range(x.ndim)) if axes is None else axes, keep_dims)

    return apply


def _sum(x: Tensor, axes: list[int], keep_dims: bool) -> Tensor:
    return x.sum(axes, keep_dims)


def _mean(x: Tensor, axes: list[int], keep_dims: bool) -> Tensor:
    return x.to(torch.float32).mean(axes, keep_dims)


def _max(x: Tensor, axes: list[int], keep_dims: bool) -> Tensor:
    return x.amax(axes, keep_dims)


def _min(x: Tensor, axes: list[int], keep_dims: bool) -> Tensor:
    return x.amin(axes, keep_dims)


def _prod(x: Tensor, axes: list[int], keep_dims: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keep_dims)
    return x


def _l2_norm(x: Tensor, axes: list[int], keep_dims: bool) -> Tensor:
    return x.square().sum(axes, keep_dims).to(torch.float32).sqrt()


def _log_sum_exp(x: Tensor, axes: list[int], keep_dims: bool) -> Tensor:
    return x.logsumexp(axes, keep_dims)


# Of equal values, the first comes first in all of the following; Core ML guarantees no order.


def _argmax(
    x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32"
) -> Tensor:
    return x.argmax(axis, keep_dims)


def _argmin(
    x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32"
) -> Tensor:
    return x.argmin(axis, keep_dims)


def _argsort(x: Tensor, axis: int = -1, ascending: bool = False) -> Tensor:
    return x.argsort(dim=axis, descending=not ascending, stable=True)


def _topk(
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> tuple[Tensor, ...]:
    # Unsorted results may have any order, so sorted ones are correct too.
    values, indices = x.sort(dim=axis, descending=not ascending, stable=True)
    count = x.shape[axis] if k == -1 else k
    best = values.narrow(axis, 0, count), indices.narrow(axis, 0, count)
    return best if return_indices else best[:1]


def _cumsum(x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    if reverse:
        x = x.flip(axis)
    total = x.cumsum(axis)
    if exclusive:
        total = total.roll(1, axis)
        total.select(axis, 0).zero_()
    return total.flip(axis) if reverse else total


def _layer_norm(
    x: Tensor,
    axes: list[int] | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    normalised = range(x.ndim) if axes is None else sorted(axis % x.ndim for axis in axes)
    shape = [size if axis in normalised else 1 for axis, size in enumerate(x.shape)]
    centred = x - x.mean(list(normalised), keepdim=True)
    variance = centred.square().mean(list(normalised), keepdim=True)
    out = centred / torch.sqrt(variance + epsilon)
    if gamma is not None:
        out = out * gamma.view(shape)
    return out if beta is None else out + beta.view(shape)


def _batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    return F.batch_norm(x, mean, variance, gamma, beta, eps=epsilon)


def _instance_norm(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5
) -> Tensor:
    return F.instance_norm(x, weight=gamma, bias=beta, eps=epsilon)


OPERATORS: dict[str, Operator] = {
    "argsort": _argsort,
    "batch_norm": _batch_norm,
    "cumsum": _cumsum,
    "instance_norm": _instance_norm,
    "layer_norm": _layer_norm,
    "reduce_argmax": _argmax,
    "reduce_argmin": _argmin,
    "reduce_l2_norm": _reduction(_l2_norm),
    "reduce_log_sum_exp": _reduction(_log_sum_exp),
    "reduce_max": _reduction(_max),
    "reduce_mean": _reduction(_mean),
    "reduce_min": _reduction(_min),
    "reduce_prod": _reduction(_prod),
    "reduce_sum": _reduction(_sum),
    "topk": _topk,
}
