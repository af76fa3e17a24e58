"""Elementwise operators: arithmetic, comparisons, activations."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from export.targets.coreml.ops.operator_types import Operator, UnsupportedError

# By the names of `cast`; uint16 is stored as int32, see `export.targets.coreml.values`.
_CASTS = {
    "fp16": torch.float32,
    "fp32": torch.float32,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "int16": torch.int16,
    "uint16": torch.int32,
    "int32": torch.int32,
    "bool": torch.bool,
}


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    def apply(x: Tensor) -> Tensor:
        return function(x)

    return apply


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def apply(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)

    return apply


def _cast(x: Tensor, dtype: str) -> Tensor:
    if dtype not in _CASTS:
        raise UnsupportedError(f"dtype {dtype}")
    return x.to(_CASTS[dtype])  # float to integer truncates, as in Core ML


def _clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    return x.clamp(alpha, beta)


def _floor_div(x: Tensor, y: Tensor) -> Tensor:
    return torch.div(x, y, rounding_mode="floor")


def _gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x, approximate="tanh" if mode == "TANH_APPROXIMATION" else "none")


def _inverse(x: Tensor, epsilon: float = 1e-4) -> Tensor:
    return 1 / (x + epsilon)


def _leaky_relu(x: Tensor, alpha: float) -> Tensor:
    return F.leaky_relu(x, alpha)


def _log(x: Tensor, epsilon: float = 1e-45) -> Tensor:
    return torch.log(x + epsilon)


def _prelu(x: Tensor, alpha: Tensor) -> Tensor:
    return F.prelu(x, alpha)


def _rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    return torch.rsqrt(x + epsilon)


def _select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(cond, a, b)


def _sigmoid_hard(x: Tensor, alpha: float, beta: float) -> Tensor:
    return (alpha * x + beta).clamp(0, 1)


def _softmax(x: Tensor, axis: int = -1) -> Tensor:
    return torch.softmax(x, axis)


OPERATORS: dict[str, Operator] = {
    "abs": _unary(torch.abs),
    "add": _binary(torch.add),
    "cast": _cast,
    "ceil": _unary(torch.ceil),
    "clip": _clip,
    "cos": _unary(torch.cos),
    "equal": _binary(torch.eq),
    "erf": _unary(torch.erf),
    "exp": _unary(torch.exp),
    "exp2": _unary(torch.exp2),
    "floor": _unary(torch.floor),
    "floor_div": _floor_div,
    "gelu": _gelu,
    "greater": _binary(torch.gt),
    "greater_equal": _binary(torch.ge),
    "identity": _unary(lambda x: x),
    "inverse": _inverse,
    "leaky_relu": _leaky_relu,
    "less": _binary(torch.lt),
    "less_equal": _binary(torch.le),
    "log": _log,
    "logical_and": _binary(torch.logical_and),
    "logical_not": _unary(torch.logical_not),
    "logical_or": _binary(torch.logical_or),
    "logical_xor": _binary(torch.logical_xor),
    "maximum": _binary(torch.maximum),
    "minimum": _binary(torch.minimum),
    "mod": _binary(torch.remainder),
    "mul": _binary(torch.mul),
    "not_equal": _binary(torch.ne),
    "pow": _binary(torch.pow),
    "prelu": _prelu,
    "real_div": _binary(torch.true_divide),
    "relu": _unary(torch.relu),
    "relu6": _unary(F.relu6),
    "round": _unary(torch.round),
    "rsqrt": _rsqrt,
    "select": _select,
    "sigmoid": _unary(torch.sigmoid),
    "sigmoid_hard": _sigmoid_hard,
    "sign": _unary(torch.sign),
    "silu": _unary(F.silu),
    "sin": _unary(torch.sin),
    "softmax": _softmax,
    "softplus": _unary(F.softplus),
    "sqrt": _unary(torch.sqrt),
    "square": _unary(torch.square),
    "sub": _binary(torch.sub),
    "tanh": _unary(torch.tanh),
}
