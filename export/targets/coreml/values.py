"""How the evaluator stores the values of an ML Program as PyTorch tensors.

A float16 value is rounded to float16 and stored in float32, which saves a conversion at each use.
Unsigned integers wider than a byte are stored in a wider signed type, because torch computes little
with them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.targets.coreml.program import TensorType

STORAGE_DTYPES = {
    "bool": torch.bool,
    "fp16": torch.float32,
    "fp32": torch.float32,
    "int4": torch.int8,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "uint1": torch.uint8,
    "uint2": torch.uint8,
    "uint3": torch.uint8,
    "uint4": torch.uint8,
    "uint6": torch.uint8,
    "uint8": torch.uint8,
    "uint16": torch.int32,
    "uint32": torch.int64,
}
_NUMPY_DTYPES = {"fp16": np.float16, "uint16": np.uint16, "uint32": np.uint32}
"""Of types that are stored in another dtype than their own."""


def to_tensor(value: NDArray[Any], tensor_type: TensorType) -> Tensor:
    """An array as a tensor of the storage dtype of its type."""
    if value.dtype in (np.uint16, np.uint32):
        value = value.astype(np.int64)
    if not value.flags.writeable:  # torch warns about read-only memory
        value = value.copy()
    dtype = STORAGE_DTYPES[tensor_type.dtype]
    return torch.from_numpy(np.asarray(value, order="C")).to(dtype)


def to_array(value: Tensor, tensor_type: TensorType) -> NDArray[Any]:
    """A stored tensor as an array of the dtype of its type."""
    array: NDArray[Any] = value.numpy()
    dtype = _NUMPY_DTYPES.get(tensor_type.dtype)
    return array if dtype is None else array.astype(dtype)


def round_to_type(value: Tensor, tensor_type: TensorType) -> Tensor:
    """A result in the precision and the storage dtype of its type."""
    if tensor_type.dtype == "fp16":
        return value.to(torch.float16).to(torch.float32)
    return value.to(STORAGE_DTYPES[tensor_type.dtype])


def has_shape(shape: tuple[int, ...], tensor_type: TensorType) -> bool:
    """Whether a value of a shape can have a type."""
    return len(shape) == tensor_type.rank and all(
        size is None or size == actual
        for size, actual in zip(tensor_type.shape, shape, strict=True)
    )


def format_shape(tensor_type: TensorType) -> str:
    """`(1, 3, ?, ?)`, with `?` for unknown sizes."""
    sizes = ", ".join("?" if size is None else str(size) for size in tensor_type.shape)
    return f"({sizes})"
