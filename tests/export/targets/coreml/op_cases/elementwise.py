"""Elementwise operators."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  # as its documentation

from tests.export.targets.coreml.op_cases.case import INTS, POSITIVE, Array, X, Y, case

_erf = np.vectorize(math.erf)
_UNARY: dict[str, tuple[Array, Callable[[Array], Array]]] = {
    "abs": (X, np.abs),
    "ceil": (X, np.ceil),
    "cos": (X, np.cos),
    "erf": (X, _erf),
    "exp": (X, np.exp),
    "exp2": (X, np.exp2),
    "floor": (X, np.floor),
    "identity": (X, np.array),
    "relu": (X, lambda x: x * (x > 0)),
    "relu6": (4 * X, lambda x: np.clip(x, 0, 6)),
    "round": (np.array([0.5, 1.5, -0.5, 2.4], np.float32), lambda x: np.array([0.0, 2, 0, 2])),
    "sigmoid": (X, lambda x: 1 / (1 + np.exp(-x))),
    "sign": (X, lambda x: 1.0 * (x > 0) - (x < 0)),
    "silu": (X, lambda x: x / (1 + np.exp(-x))),
    "sin": (X, np.sin),
    "softplus": (X, lambda x: np.log1p(np.exp(x))),
    "sqrt": (POSITIVE, lambda x: x**0.5),
    "square": (X, lambda x: x * x),
    "tanh": (X, np.tanh),
}
for _name, (_x, _function) in _UNARY.items():
    case(
        _name,
        _x,
        lambda c, x, name=_name: getattr(mb, name)(x=x),
        lambda c, x, function=_function: function(x),
    )

_BINARY: dict[str, tuple[tuple[Array, Array], Callable[[Array, Array], Array]]] = {
    "add": ((X, Y), lambda x, y: x + y),
    "floor_div": ((4 * X, POSITIVE), lambda x, y: np.floor(x / y)),
    "maximum": ((X, Y), np.maximum),
    "minimum": ((X, Y), np.minimum),
    "mod": ((4 * X, POSITIVE), lambda x, y: x - y * np.floor(x / y)),
    "mul": ((X, Y), lambda x, y: x * y),
    "pow": ((POSITIVE, Y), lambda x, y: np.exp(y * np.log(x))),
    "real_div": ((X, POSITIVE), lambda x, y: x / y),
    "sub": ((X, Y), lambda x, y: x - y),
}
for _name, (_pair, _function2) in _BINARY.items():
    case(
        _name,
        _pair,
        lambda c, x, y, name=_name: getattr(mb, name)(x=x, y=y),
        lambda c, x, y, function=_function2: function(x, y),
    )
case("add", (X, X[:1, :, :1]), lambda c, x, y: mb.add(x=x, y=y), lambda c, x, y: x + y)
case("mod", INTS, lambda c, x: mb.mod(x=x, y=np.int32(4)), lambda c, x: x % 4, half=False)
case(
    "floor_div",
    INTS,
    lambda c, x: mb.floor_div(x=x, y=np.int32(4)),
    lambda c, x: x // 4,
    half=False,
)

_COMPARED = (np.array([1.0, 2, 3], np.float32), np.array([2.0, 2, 2], np.float32))
for _name, _bits in {
    "equal": [0, 1, 0],
    "greater": [0, 0, 1],
    "greater_equal": [0, 1, 1],
    "less": [1, 0, 0],
    "less_equal": [1, 1, 0],
    "not_equal": [1, 0, 1],
}.items():
    case(
        _name,
        _COMPARED,
        lambda c, x, y, name=_name: mb.cast(x=getattr(mb, name)(x=x, y=y), dtype="int32"),
        lambda c, x, y, bits=_bits: np.array(bits),
    )

_TRUTH = (np.array([0, 0, 1, 1], np.int32), np.array([0, 1, 0, 1], np.int32))
for _name, _bits in {
    "logical_and": [0, 0, 0, 1],
    "logical_or": [0, 1, 1, 1],
    "logical_xor": [0, 1, 1, 0],
}.items():
    case(
        _name,
        _TRUTH,
        lambda c, x, y, name=_name: mb.cast(
            x=getattr(mb, name)(x=mb.cast(x=x, dtype="bool"), y=mb.cast(x=y, dtype="bool")),
            dtype="int32",
        ),
        lambda c, x, y, bits=_bits: np.array(bits),
        half=False,
    )
case(
    "logical_not",
    _TRUTH[1],
    lambda c, x: mb.cast(x=mb.logical_not(x=mb.cast(x=x, dtype="bool")), dtype="int32"),
    lambda c, x: np.array([1, 0, 1, 0]),
    half=False,
)
case(
    "select",
    (X, Y),
    lambda c, x, y: mb.select(cond=mb.greater(x=x, y=c(0.3)), a=x, b=y),
    lambda c, x, y: (x > c(0.3)) * x + (x <= c(0.3)) * y,
)
case(
    "cast",
    np.array([-1.7, -0.2, 0.0, 1.7, 2.5], np.float32),
    lambda c, x: mb.cast(x=x, dtype="int32"),
    lambda c, x: np.array([-1, 0, 0, 1, 2]),
)
case(
    "cast",
    np.array([-1.7, 0.0, 1.7], np.float32),
    lambda c, x: mb.cast(x=mb.cast(x=x, dtype="bool"), dtype="int32"),
    lambda c, x: np.array([1, 0, 1]),
    label="to-bool",
)
case(
    "cast",
    np.array([0.1, 70000.0, 1e-9], np.float32),
    lambda c, x: mb.cast(x=mb.cast(x=x, dtype="fp16"), dtype="fp32"),
    lambda c, x: np.array([0.0999755859375, np.inf, 0.0]),
    label="to-fp16",
    half=False,
)
case(
    "clip",
    X,
    lambda c, x: mb.clip(x=x, alpha=c(-0.5), beta=c(0.7)),
    lambda c, x: np.minimum(np.maximum(x, c(-0.5)), c(0.7)),
)
for _mode, _gelu in {
    "EXACT": lambda x: x * (1 + _erf(x / 2**0.5)) / 2,
    "TANH_APPROXIMATION": lambda x: (
        x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2
    ),
    "SIGMOID_APPROXIMATION": lambda x: x / (1 + np.exp(-1.702 * x)),
}.items():
    case(
        "gelu",
        X,
        lambda c, x, mode=_mode: mb.gelu(x=x, mode=mode),
        lambda c, x, gelu=_gelu: gelu(x),
        label=_mode,
    )
case("inverse", POSITIVE, lambda c, x: mb.inverse(x=x, epsilon=c(0.5)), lambda c, x: 1 / (x + 0.5))
case(
    "leaky_relu",
    X,
    lambda c, x: mb.leaky_relu(x=x, alpha=c(0.25)),
    lambda c, x: np.where(x < 0, x / 4, x),
)
case("log", POSITIVE, lambda c, x: mb.log(x=x, epsilon=c(0.25)), lambda c, x: np.log(x + 0.25))
case(
    "prelu",
    X,
    lambda c, x: mb.prelu(x=x, alpha=c([0.5, 0.25, 0.0, 2.0])),
    lambda c, x: np.where(x < 0, x * np.array([0.5, 0.25, 0.0, 2.0]).reshape(4, 1, 1), x),
)
case(
    "rsqrt",
    POSITIVE,
    lambda c, x: mb.rsqrt(x=x, epsilon=c(0.25)),
    lambda c, x: (x + 0.25) ** -0.5,
)
case(
    "sigmoid_hard",
    X,
    lambda c, x: mb.sigmoid_hard(x=x, alpha=c(0.25), beta=c(0.5)),
    lambda c, x: np.clip(x / 4 + 0.5, 0, 1),
)
case(
    "softmax",
    X,
    lambda c, x: mb.softmax(x=x, axis=1),
    lambda c, x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
)
