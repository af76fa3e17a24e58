"""Quantized values and compressed weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  # as its documentation
from coremltools.converters.mil.mil import types

from tests.export.targets.coreml.op_cases.case import COUNT, Array, X, case
from tests.export.targets.coreml.packages import ct

_SCALES = np.array([0.5, 0.25, 0.125, 1.0], np.float32)
for _dtype, _zero, _low, _high in (("int8", -3, -128, 127), ("uint8", 7, 0, 255)):
    case(
        "quantize",
        30 * X,
        lambda c, x, dtype=_dtype, zero=_zero: mb.cast(
            x=mb.quantize(
                input=x, scale=c(0.25), zero_point=np.dtype(dtype).type(zero), output_dtype=dtype
            ),
            dtype="int32",
        ),
        lambda c, x, zero=_zero, low=_low, high=_high: np.clip(np.rint(x * 4) + zero, low, high),
        opset=ct.target.iOS17,
        label=_dtype,
    )
case(
    "dequantize",
    10 * X,
    lambda c, x: mb.dequantize(
        input=mb.quantize(input=x, scale=c(_SCALES), axis=1, output_dtype="int8"),
        scale=c(_SCALES),
        axis=1,
    ),
    lambda c, x: (
        np.clip(np.rint(x / _SCALES.reshape(4, 1, 1)), -128, 127) * _SCALES.reshape(4, 1, 1)
    ),
    opset=ct.target.iOS17,
    label="axis",
)
case(
    "dequantize",
    10 * X,
    lambda c, x: mb.dequantize(
        input=mb.quantize(input=x, scale=c(0.5), zero_point=np.uint8(100), output_dtype="uint8"),
        scale=c(0.5),
        zero_point=np.uint8(100),
    ),
    lambda c, x: np.rint(x * 2) / 2,
    opset=ct.target.iOS17,
    label="zero_point",
)
_LEVELS = np.random.default_rng(21).integers(-128, 128, (4, 5)).astype(np.int8)
_ZEROS = np.array([1, -2, 3, -128], np.int8)
case(
    "constexpr_affine_dequantize",
    X,
    lambda c, x: mb.matmul(
        x=x,
        y=mb.constexpr_affine_dequantize(
            quantized_data=_LEVELS, zero_point=_ZEROS, scale=c(_SCALES / 16), axis=0
        ),
        transpose_y=True,
    ),
    lambda c, x: x @ ((_LEVELS - _ZEROS[:, None].astype(int)) * _SCALES[:, None] / 16).T,
)
_BLOCKS = np.array([[0.5, 0.25], [0.125, 1]], np.float32)
_OFFSETS = np.array([[1, 2], [-3, 4]], np.int8)


def _blockwise(levels: Array) -> Array:
    spread = [np.repeat(np.repeat(a.astype(float), 2, 0), 3, 1) for a in (_BLOCKS, _OFFSETS)]
    return (levels - spread[1]) * spread[0]


_NIBBLES = np.random.default_rng(22).integers(-8, 8, (4, 6)).astype(np.int8)
for _builtin in ("int8", "int4"):
    case(
        "constexpr_blockwise_shift_scale",
        COUNT / 16,
        lambda c, x, builtin=_builtin: mb.matmul(
            x=x,
            y=mb.constexpr_blockwise_shift_scale(
                data=_NIBBLES.astype(types.nptype_from_builtin(getattr(types, builtin))),
                scale=c(_BLOCKS),
                offset=_OFFSETS.astype(types.nptype_from_builtin(getattr(types, builtin))),
            ),
            transpose_y=True,
        ),
        lambda c, x: x @ _blockwise(_NIBBLES).T,
        opset=ct.target.iOS18,
        label=_builtin,
    )
# Indices 0 3 2 1 0, two bits each from the lowest up: 0b01101100, 0b00.
case(
    "constexpr_lut_to_dense",
    X,
    lambda c, x: mb.mul(
        x=x,
        y=mb.constexpr_lut_to_dense(
            indices=np.array([0b01101100, 0], np.uint8),
            lut=c([10.0, 11, 12, 13]),
            shape=np.array([1, 5], np.uint32),
        ),
    ),
    lambda c, x: x * np.array([10, 13, 12, 11, 10]),
    label="iOS16",
)


def _uint(values: Any, bits: int) -> Array:
    return np.array(values).astype(types.nptype_from_builtin(getattr(types, f"uint{bits}")))


case(
    "constexpr_lut_to_dense",
    COUNT[0, 0, 0, :2],
    lambda c, x: mb.mul(
        x=x,
        y=mb.constexpr_lut_to_dense(
            indices=_uint([2, 3, 3, 0, 1, 0, 3, 0, 2, 1, 0, 3], 2).reshape(6, 2),
            lut=c(np.array([1.0, 5, 9, 13, 2, 10, 18, 26]).reshape(2, 1, 4, 1)),
        ),
    ),
    lambda c, x: x * np.array([[9, 13], [13, 1], [5, 1], [26, 2], [18, 10], [2, 26]]),
    opset=ct.target.iOS18,
    label="groups",
)
case(
    "constexpr_lut_to_dense",
    COUNT[0, 0, 0, :2],
    lambda c, x: mb.mul(
        x=x,
        y=mb.constexpr_lut_to_dense(
            indices=_uint([[[0, 0], [1, 0]], [[1, 1], [0, 0]]], 1),
            lut=c(np.array([1.0, 2, 3, 4, 5, 6]).reshape(1, 1, 1, 2, 3)),
            vector_axis=1,
        ),
    ),
    lambda c, x: (
        x
        * np.array(
            [
                [[1, 1], [2, 2], [3, 3], [4, 1], [5, 2], [6, 3]],
                [[4, 4], [5, 5], [6, 6], [1, 1], [2, 2], [3, 3]],
            ]
        )
    ),
    opset=ct.target.iOS18,
    label="vectors",
)
# Mask 0 0 1 1 0 from the lowest bit up.
case(
    "constexpr_sparse_to_dense",
    X,
    lambda c, x: mb.mul(
        x=x,
        y=mb.constexpr_sparse_to_dense(
            nonzero_data=c([3.0, 5]),
            mask=np.array([0b01100], np.uint8),
            shape=np.array([1, 5], np.uint32),
        ),
    ),
    lambda c, x: x * np.array([0, 0, 3, 5, 0]),
    label="iOS16",
)
case(
    "constexpr_sparse_to_dense",
    X,
    lambda c, x: mb.mul(
        x=x,
        y=mb.constexpr_sparse_to_dense(nonzero_data=c([3.0, 5]), mask=_uint([[0, 1, 0, 0, 1]], 1)),
    ),
    lambda c, x: x * np.array([0, 3, 0, 0, 5]),
    opset=ct.target.iOS18,
    label="iOS18",
)
case(
    "constexpr_cast",
    X,
    lambda c, x: mb.mul(
        x=x, y=mb.constexpr_cast(source_val=np.float16([0.1, 1, 2, 3, 4]), output_dtype="fp32")
    ),
    lambda c, x: x * np.float64(np.float16([0.1, 1, 2, 3, 4])),
    half=False,
)
