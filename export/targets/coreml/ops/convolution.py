"""Convolutions and poolings over one to three spatial axes, layout (N, C, *spatial)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from export.targets.coreml.ops.operator_types import Operator

_Pads = list[tuple[int, int]]

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX_POOL: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _split_evenly(total: int, heavier_before: bool) -> tuple[int, int]:
    less, more = total // 2, total - total // 2
    return (more, less) if heavier_before else (less, more)


def _paddings(
    pad_type: str, pad: list[int] | None, sizes: list[int], kernels: list[int], strides: list[int]
) -> _Pads:
    """Padding before and after each spatial axis; `kernels` are extents with dilation."""
    if pad_type == "custom" and pad is not None:
        return list(zip(pad[::2], pad[1::2], strict=True))
    if pad_type in ("same", "same_lower"):
        # Pads such that the output has ceil(size / stride) elements.
        totals = [
            max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
            for size, kernel, stride in zip(sizes, kernels, strides, strict=True)
        ]
        return [_split_evenly(total, pad_type == "same_lower") for total in totals]
    return [(0, 0)] * len(sizes)


def _pad(x: Tensor, pads: _Pads, value: float = 0.0) -> Tensor:
    """Pads the last axes; torch wants the last axis first."""
    flat = [amount for pair in reversed(pads) for amount in pair]
    return F.pad(x, flat, value=value) if any(flat) else x


def _extents(weight: Tensor, dilations: list[int]) -> list[int]:
    return [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: list[int] | None = None,
    pad_type: str = "valid",
    pad: list[int] | None = None,
    dilations: list[int] | None = None,
    groups: int = 1,
) -> Tensor:
    rank = x.ndim - 2
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    pads = _paddings(pad_type, pad, list(x.shape[2:]), _extents(weight, dilations), strides)
    convolve = _CONV[rank]
    if all(before == after for before, after in pads):
        return convolve(x, weight, bias, strides, [before for before, _ in pads], dilations, groups)
    return convolve(_pad(x, pads), weight, bias, strides, 0, dilations, groups)


def _conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: list[int] | None = None,
    output_shape: list[int] | None = None,
    pad_type: str = "valid",
    strides: list[int] | None = None,
    dilations: list[int] | None = None,
    groups: int = 1,
) -> Tensor:
    rank = x.ndim - 2
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    full = _CONV_TRANSPOSE[rank](x, weight, None, strides, 0, 0, groups, dilations)
    for axis in range(rank):
        length = full.shape[2 + axis]
        size, stride = x.shape[2 + axis], strides[axis]
        if pad_type == "custom" and pad is not None:
            before, after = pad[2 * axis], pad[2 * axis + 1]
        elif pad_type == "same":
            target = output_shape[2 + axis] if output_shape else size * stride
            before, after = _split_evenly(max(0, length - target), heavier_before=False)
        else:
            before, after = 0, 0
        out = output_shape[2 + axis] if output_shape else length - before - after
        # An output beyond the reach of the kernel ends in zeros, like torch's output_padding.
        missing = max(0, before + out - length)
        full = _pad(full, [(0, missing if i == axis else 0) for i in range(rank)])
        full = full.narrow(2 + axis, before, out)
    return full if bias is None else full + bias.view(-1, *[1] * rank)


def _pooling_pads(
    x: Tensor,
    kernel_sizes: list[int],
    strides: list[int],
    pad_type: str,
    pad: list[int] | None,
    ceil_mode: bool,
) -> tuple[_Pads, _Pads]:
    """The declared padding, and the padding that the last window of ceil_mode needs."""
    sizes = list(x.shape[2:])
    pads = _paddings(pad_type, pad, sizes, kernel_sizes, strides)
    if not ceil_mode:
        return pads, pads
    reach: _Pads = []
    for size, kernel, stride, (before, after) in zip(
        sizes, kernel_sizes, strides, pads, strict=True
    ):
        padded = size + before + after
        out = math.ceil((padded - kernel) / stride) + 1
        if before + after > 0 and (out - 1) * stride >= size + before:
            out -= 1  # a window may not start in the padding at the end
        reach.append((before, after + max(0, (out - 1) * stride + kernel - padded)))
    return pads, reach


def _max_pool(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    strides = strides or [1] * len(kernel_sizes)
    _, reach = _pooling_pads(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return _MAX_POOL[len(kernel_sizes)](_pad(x, reach, -torch.inf), kernel_sizes, strides)


def _avg_pool(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    strides = strides or [1] * len(kernel_sizes)
    pads, reach = _pooling_pads(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    pool = _AVG_POOL[len(kernel_sizes)]
    mean = pool(_pad(x, reach), kernel_sizes, strides)
    if not any(amount for pair in reach for amount in pair):
        return mean
    # The elements that count in the denominator; the extra reach of ceil_mode never does.
    counted = x.new_ones(1, 1, *x.shape[2:])
    if not exclude_padding_from_average:
        counted = _pad(counted, pads, 1.0)
        reach = [(0, r[1] - p[1]) for p, r in zip(pads, reach, strict=True)]
    return mean / pool(_pad(counted, reach), kernel_sizes, strides)


OPERATORS: dict[str, Operator] = {
    "avg_pool": _avg_pool,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "max_pool": _max_pool,
}
