"""Quantization of activations, and decompression of weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from export.targets.coreml.ops.operator_types import Operator

_RANGES = {"int8": (-128, 127), "uint8": (0, 255)}


def _along(values: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """A scalar as it is; a vector reshaped to broadcast along `axis` of x."""
    if values.ndim == 0 or axis is None:
        return values
    return values.view(-1, *[1] * (x.ndim - 1 - axis % x.ndim))


def _quantize(
    input: Tensor,
    scale: Tensor,
    output_dtype: str,
    zero_point: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    low, high = _RANGES[output_dtype]
    quantized = torch.round(input / _along(scale, input, axis))
    if zero_point is not None:
        quantized = quantized + _along(zero_point, input, axis)
    return quantized.clamp(low, high)


def _dequantize(
    input: Tensor, scale: Tensor, zero_point: Tensor | None = None, axis: int | None = None
) -> Tensor:
    quantized = input.to(torch.float32)
    if zero_point is not None:
        quantized = quantized - _along(zero_point, input, axis)
    return quantized * _along(scale, input, axis)


def _affine_dequantize(
    quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: int
) -> Tensor:
    return _dequantize(quantized_data, scale, zero_point, axis)


def _repeated(values: Tensor, shape: torch.Size) -> Tensor:
    """Repeats one value a block for all elements of the blocks."""
    for axis, size in enumerate(shape):
        values = values.repeat_interleave(size // values.shape[axis], axis)
    return values


def _blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    quantized = data.to(torch.float32)
    if offset is not None:
        quantized = quantized - _repeated(offset, data.shape)
    return quantized * _repeated(scale, data.shape)


def _unpacked(packed: Tensor, bits: int, count: int) -> Tensor:
    """Unsigned integers of a few bits each, packed from the lowest bit up; (count,) int64."""
    lanes = (packed[:, None].int() >> torch.arange(8)) & 1
    return (lanes.flatten()[: count * bits].view(count, bits) << torch.arange(bits)).sum(1)


def _lut_to_dense(
    indices: Tensor, lut: Tensor, shape: list[int] | None = None, vector_axis: int | None = None
) -> Tensor:
    if shape is not None:  # iOS 16: packed indices into one table
        bits = int(math.log2(lut.numel()))
        return lut[_unpacked(indices, bits, math.prod(shape))].view(shape)
    # iOS 18: tables by block, (*blocks, palettes, vector).
    palettes, vector = lut.shape[-2:]
    tables = _repeated(lut, torch.Size([*indices.shape, palettes, vector]))
    picked = indices.long()[..., None, None].expand(*indices.shape, 1, vector)
    entries = tables.gather(-2, picked).squeeze(-2)
    axis = 0 if vector_axis is None else vector_axis % indices.ndim
    return entries.movedim(-1, axis + 1).flatten(axis, axis + 1)


def _sparse_to_dense(nonzero_data: Tensor, mask: Tensor, shape: list[int] | None = None) -> Tensor:
    if shape is not None:  # iOS 16: the mask is packed
        mask = _unpacked(mask, 1, math.prod(shape)).view(shape)
    dense = torch.zeros(mask.shape, dtype=nonzero_data.dtype)
    dense[mask.bool()] = nonzero_data
    return dense


def _constexpr_cast(source_val: Tensor, output_dtype: str) -> Tensor:
    return source_val  # MIL has only float16 to float32


OPERATORS: dict[str, Operator] = {
    "constexpr_affine_dequantize": _affine_dequantize,
    "constexpr_blockwise_shift_scale": _blockwise_shift_scale,
    "constexpr_cast": _constexpr_cast,
    "constexpr_lut_to_dense": _lut_to_dense,
    "constexpr_sparse_to_dense": _sparse_to_dense,
    "dequantize": _dequantize,
    "quantize": _quantize,
}
