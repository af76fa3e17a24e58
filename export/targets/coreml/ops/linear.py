"""Matrix products."""

from __future__ import annotations

import torch
from torch import Tensor

from export.targets.coreml.ops.operator_types import Operator


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    out = x @ weight.mT
    return out if bias is None else out + bias


def _matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    # A transposition has no effect on a vector.
    left = x.mT if transpose_x and x.ndim > 1 else x
    right = y.mT if transpose_y and y.ndim > 1 else y
    return left @ right


def _einsum(values: list[Tensor], equation: str) -> Tensor:
    return torch.einsum(equation, *values)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
) -> Tensor:
    scores = query @ key.mT / query.shape[-1] ** 0.5
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return torch.softmax(scores, -1) @ value


OPERATORS: dict[str, Operator] = {
    "einsum": _einsum,
    "linear": _linear,
    "matmul": _matmul,
    "scaled_dot_product_attention": _attention,
}
