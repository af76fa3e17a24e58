"""Every operator of the Core ML evaluator against an expression written independently.

The cases of one opset and precision share a package, so that saving it is paid once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

pytest.importorskip("coremltools", reason="coremltools is not installed")

from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  # as its documentation
from coremltools.converters.mil.mil import types

from export.targets.coreml.evaluator import Evaluator
from export.targets.coreml.ops import OPERATORS
from tests.export.targets.coreml.packages import ct, save_program

Array = NDArray[Any]
Const = Callable[[Any], Any]
"""Turns a constant into the dtype of the case; for the expectation, rounds it to that dtype."""


def _random(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


X = _random(0, 2, 4, 6, 5)
Y = _random(1, 2, 4, 6, 5)
POSITIVE = np.abs(X) + 0.1
MATRIX = _random(2, 3, 4)
IDS = np.array([2, 0, 3], dtype=np.int32)
INTS = np.arange(-6, 6, dtype=np.int32).reshape(3, 4)
COUNT = np.arange(2 * 8 * 4 * 6, dtype=np.float32).reshape(2, 8, 4, 6) / 8
"""Exact in float16, every element different: for operators that move values."""


@dataclass(frozen=True, eq=False)
class Case:
    """One use of an operator.

    Attributes:
        build: (const, *MIL variables) -> result or results.
        expected: (const, *arrays in float64) -> the same.
    """

    op: str
    inputs: tuple[Array, ...]
    build: Callable[..., Any]
    expected: Callable[..., Any]
    opset: Any = ct.target.iOS16
    label: str = ""
    half: bool = True
    """Whether the case runs in float16 too."""


CASES: list[Case] = []


def case(
    op: str,
    inputs: Array | tuple[Array, ...],
    build: Callable[..., Any],
    expected: Callable[..., Any],
    **options: Any,
) -> None:
    arrays = inputs if isinstance(inputs, tuple) else (inputs,)
    CASES.append(Case(op, arrays, build, expected, **options))


def as_torch(function: Callable[..., torch.Tensor]) -> Callable[..., Array]:
    """An expectation in torch, on float64."""

    def expected(const: Const, *arrays: Array) -> Array:
        return function(const, *(torch.from_numpy(np.array(a)) for a in arrays)).numpy()

    return expected


def tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float64))


# Elementwise.

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

# Matrix products.

_BIAS = _random(3, 3)
case(
    "linear",
    X,
    lambda c, x: mb.linear(
        x=mb.reshape(x=x, shape=[8, 6, 5]), weight=c(_random(4, 3, 5)), bias=c(_BIAS)
    ),
    lambda c, x: np.einsum("...i,oi->...o", x.reshape(8, 6, 5), c(_random(4, 3, 5))) + c(_BIAS),
)
case(
    "matmul",
    (X, Y[:1, :1]),
    lambda c, x, y: mb.matmul(x=x, y=y, transpose_y=True),
    lambda c, x, y: np.einsum("bcik,jk->bcij", x, y[0, 0]),
    label="transpose_y",
)
case(
    "matmul",
    (X, Y),
    lambda c, x, y: mb.matmul(x=x, y=y, transpose_x=True),
    lambda c, x, y: np.einsum("bcki,bckj->bcij", x, y),
    label="transpose_x",
)
case(
    "einsum",
    (X, _random(5, 1, 5, 6, 3)),
    lambda c, x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
    lambda c, x, y: (x[..., None] * np.moveaxis(y, 1, 2)[:, None]).sum(3),
)
case(
    "scaled_dot_product_attention",
    (X, Y, _random(6, 2, 4, 6, 3)),
    lambda c, q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v),
    as_torch(lambda c, q, k, v: F.scaled_dot_product_attention(q, k, v)),
    opset=ct.target.iOS18,
)
_MASK = np.tril(np.ones((6, 6), np.float32))
case(
    "scaled_dot_product_attention",
    (X, Y, _MASK),
    lambda c, q, k, m: mb.scaled_dot_product_attention(
        query=q, key=k, value=k, attn_mask=mb.cast(x=m, dtype="bool")
    ),
    as_torch(lambda c, q, k, m: F.scaled_dot_product_attention(q, k, k, m.bool())),
    opset=ct.target.iOS18,
    label="mask",
)

# Convolutions and poolings.

_W = _random(7, 8, 4, 3, 3)
_B = _random(8, 8)
case(
    "conv",
    X,
    lambda c, x: mb.conv(x=x, weight=c(_W), bias=c(_B), pad_type="valid", strides=[1, 2]),
    as_torch(lambda c, x: F.conv2d(x, tensor(c(_W)), tensor(c(_B)), stride=(1, 2))),
    label="valid",
)
# 6x5 in steps of 2 makes 3x3 windows need (0, 1) rows and (1, 1) columns.
case(
    "conv",
    X,
    lambda c, x: mb.conv(x=x, weight=c(_W), pad_type="same", strides=[2, 2]),
    as_torch(lambda c, x: F.conv2d(F.pad(x, (1, 1, 0, 1)), tensor(c(_W)), stride=2)),
    label="same",
)
case(
    "conv",
    X,
    lambda c, x: mb.conv(x=x, weight=c(_W), pad_type="same_lower", strides=[2, 2]),
    as_torch(lambda c, x: F.conv2d(F.pad(x, (1, 1, 1, 0)), tensor(c(_W)), stride=2)),
    label="same_lower",
)
case(
    "conv",
    X,
    lambda c, x: mb.conv(
        x=x, weight=c(_W[:, :2]), pad_type="custom", pad=[0, 1, 2, 3], dilations=[2, 1], groups=2
    ),
    as_torch(
        lambda c, x: F.conv2d(
            F.pad(x, (2, 3, 0, 1)), tensor(c(_W[:, :2])), dilation=(2, 1), groups=2
        )
    ),
    label="custom",
)
case(
    "conv",
    (X, _random(9, 4, 1, 3, 3)),
    lambda c, x, w: mb.conv(x=x, weight=w, pad_type="custom", pad=[1, 1, 1, 1], groups=4),
    as_torch(lambda c, x, w: F.conv2d(x, w, padding=1, groups=4)),
    label="live-weight",
)
case(
    "conv",
    X[:, :, :, 0],
    lambda c, x: mb.conv(x=x, weight=c(_W[:, :, 0]), pad_type="valid"),
    as_torch(lambda c, x: F.conv1d(x, tensor(c(_W[:, :, 0])))),
    label="1d",
)
_WT = _random(10, 4, 3, 3, 3)
_BT = _random(11, 6)
case(
    "conv_transpose",
    X,
    lambda c, x: mb.conv_transpose(
        x=x,
        weight=c(_WT),
        bias=c(_BT),
        pad_type="custom",
        pad=[1, 0, 0, 2],
        strides=[2, 2],
        groups=2,
    ),
    as_torch(
        lambda c, x: F.conv_transpose2d(x, tensor(c(_WT)), tensor(c(_BT)), stride=2, groups=2)[
            :, :, 1:, :-2
        ]
    ),
    label="custom",
)
case(
    "conv_transpose",
    X,
    lambda c, x: mb.conv_transpose(x=x, weight=c(_WT), pad_type="same", strides=[2, 2]),
    as_torch(lambda c, x: F.conv_transpose2d(x, tensor(c(_WT)), stride=2)[:, :, :12, :10]),
    label="same",
)
case(
    "conv_transpose",
    X,
    lambda c, x: mb.conv_transpose(
        x=x,
        weight=c(_WT),
        pad_type="custom",
        pad=[1, 1, 1, 1],
        strides=[2, 2],
        output_shape=[2, 3, 12, 10],
    ),
    as_torch(
        lambda c, x: F.conv_transpose2d(x, tensor(c(_WT)), stride=2, padding=1, output_padding=1)
    ),
    label="output_shape",
)
case(
    "conv_transpose",
    X,
    lambda c, x: mb.conv_transpose(
        x=x, weight=c(_WT), pad_type="valid", strides=[1, 3], dilations=[2, 1]
    ),
    as_torch(lambda c, x: F.conv_transpose2d(x, tensor(c(_WT)), stride=(1, 3), dilation=(2, 1))),
    label="dilated",
)
case(
    "conv_transpose",
    X,
    lambda c, x: mb.conv_transpose(
        x=x,
        weight=c(_WT),
        bias=c(_BT[:3]),
        pad_type="custom",
        pad=[0, 0, 0, 0],
        strides=[3, 4],
        output_shape=[2, 3, 20, 22],
    ),
    as_torch(
        lambda c, x: F.conv_transpose2d(
            x, tensor(c(_WT)), tensor(c(_BT[:3])), stride=(3, 4), output_padding=(2, 3)
        )
    ),
    label="beyond-the-kernel",
)
case(
    "avg_pool",
    X,
    lambda c, x: mb.avg_pool(x=x, kernel_sizes=[3, 2], strides=[2, 1], pad_type="valid"),
    as_torch(lambda c, x: F.avg_pool2d(x, (3, 2), (2, 1))),
    label="valid",
)
for _exclude in (False, True):
    for _ceil in (False, True):
        case(
            "avg_pool",
            X,
            lambda c, x, exclude=_exclude, ceil=_ceil: mb.avg_pool(
                x=x,
                kernel_sizes=[3, 3],
                strides=[2, 2],
                pad_type="custom",
                pad=[1, 1, 1, 1],
                exclude_padding_from_average=exclude,
                ceil_mode=ceil,
            ),
            as_torch(
                lambda c, x, exclude=_exclude, ceil=_ceil: F.avg_pool2d(
                    x, 3, 2, 1, ceil_mode=ceil, count_include_pad=not exclude
                )
            ),
            label=f"exclude={_exclude},ceil={_ceil}",
        )
# A third window along the columns would start in the padding at the end: there is none.
case(
    "avg_pool",
    X,
    lambda c, x: mb.avg_pool(
        x=x,
        kernel_sizes=[2, 2],
        strides=[2, 3],
        pad_type="custom",
        pad=[1, 1, 1, 1],
        ceil_mode=True,
    ),
    as_torch(lambda c, x: F.avg_pool2d(x, 2, (2, 3), 1, ceil_mode=True)),
    label="ceil-drops",
)
case(
    "avg_pool",
    X[:, :, :, 0],
    lambda c, x: mb.avg_pool(
        x=x, kernel_sizes=[3], strides=[2], pad_type="same", exclude_padding_from_average=True
    ),
    lambda c, x: np.stack([x[..., :3].mean(-1), x[..., 2:5].mean(-1), x[..., 4:].mean(-1)], -1),
    label="same-1d",
)
for _ceil in (False, True):
    case(
        "max_pool",
        X,
        lambda c, x, ceil=_ceil: mb.max_pool(
            x=x,
            kernel_sizes=[3, 2],
            strides=[2, 2],
            pad_type="custom",
            pad=[1, 1, 0, 0],
            ceil_mode=ceil,
        ),
        as_torch(lambda c, x, ceil=_ceil: F.max_pool2d(x, (3, 2), 2, (1, 0), ceil_mode=ceil)),
        label=f"ceil={_ceil}",
    )
case(
    "max_pool",
    X - 5,
    lambda c, x: mb.max_pool(x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="same_lower"),
    as_torch(lambda c, x: F.max_pool2d(F.pad(x, (1, 1, 1, 0), value=-99.0), 3, 2)),
    label="same_lower",
)

# Reductions, orderings, normalisations.

for _name, _reduce in {
    "reduce_l2_norm": lambda x, **k: np.sqrt((x * x).sum(**k)),
    "reduce_log_sum_exp": lambda x, **k: np.log(np.exp(x).sum(**k)),
    "reduce_max": np.max,
    "reduce_mean": np.mean,
    "reduce_min": np.min,
    "reduce_prod": np.prod,
    "reduce_sum": np.sum,
}.items():
    for _keep in (False, True):
        case(
            _name,
            X,
            lambda c, x, name=_name, keep=_keep: getattr(mb, name)(
                x=x, axes=[1, -1], keep_dims=keep
            ),
            lambda c, x, reduce=_reduce, keep=_keep: reduce(x, axis=(1, 3), keepdims=keep),
            label=f"keep={_keep}",
        )
case(
    "reduce_sum",
    X,
    lambda c, x: mb.reduce_sum(x=x, keep_dims=True),
    lambda c, x: x.sum(keepdims=True),
    label="all",
)
_DISTINCT = np.random.default_rng(12).permutation(60).astype(np.float32).reshape(3, 4, 5)
for _name, _arg in {"reduce_argmax": np.argmax, "reduce_argmin": np.argmin}.items():
    for _keep in (False, True):
        case(
            _name,
            _DISTINCT,
            lambda c, x, name=_name, keep=_keep: getattr(mb, name)(x=x, axis=1, keep_dims=keep),
            lambda c, x, arg=_arg, keep=_keep: arg(x, axis=1, keepdims=keep),
            label=f"keep={_keep}",
        )
case(
    "reduce_argmax",
    _DISTINCT,
    lambda c, x: mb.cast(x=mb.reduce_argmax(x=x, axis=2, output_dtype="uint16"), dtype="int32"),
    lambda c, x: x.argmax(2),
    opset=ct.target.iOS17,
    label="uint16",
)
for _ascending in (False, True):
    case(
        "argsort",
        _DISTINCT,
        lambda c, x, ascending=_ascending: mb.argsort(x=x, axis=1, ascending=ascending),
        lambda c, x, ascending=_ascending: np.argsort(x if ascending else -x, axis=1),
        label=f"ascending={_ascending}",
    )
    case(
        "topk",
        _DISTINCT,
        lambda c, x, ascending=_ascending: mb.topk(x=x, k=3, axis=1, ascending=ascending),
        lambda c, x, ascending=_ascending: (
            np.sort(x, 1)[:, :3] if ascending else -np.sort(-x, 1)[:, :3],
            np.argsort(x if ascending else -x, axis=1)[:, :3],
        ),
        label=f"ascending={_ascending}",
    )
case(
    "topk",
    np.array([3.0, 1, 3, 2, 3], np.float32),
    lambda c, x: mb.topk(x=x, k=2, axis=0, sort=False, return_indices=True)[1],
    lambda c, x: np.array([0, 2]),
    label="ties",
)
case(
    "topk",
    _DISTINCT,
    lambda c, x: mb.topk(x=x, k=2, return_indices=False),
    lambda c, x: -np.sort(-x, -1)[..., :2],
    label="values-only",
)
case(
    "topk",
    _DISTINCT,
    lambda c, x: mb.cast(x=mb.topk(x=x, k=2, output_indices_dtype="uint16")[1], dtype="int32"),
    lambda c, x: np.argsort(-x, -1)[..., :2],
    opset=ct.target.iOS17,
    label="uint16",
)
for _exclusive in (False, True):
    for _reverse in (False, True):
        case(
            "cumsum",
            np.array([[1.0, 2, 3], [4, 5, 6]], np.float32),
            lambda c, x, exclusive=_exclusive, reverse=_reverse: mb.cumsum(
                x=x, axis=1, exclusive=exclusive, reverse=reverse
            ),
            lambda c, x, exclusive=_exclusive, reverse=_reverse: np.array(
                {
                    (False, False): [[1, 3, 6], [4, 9, 15]],
                    (False, True): [[6, 5, 3], [15, 11, 6]],
                    (True, False): [[0, 1, 3], [0, 4, 9]],
                    (True, True): [[5, 3, 0], [11, 6, 0]],
                }[exclusive, reverse]
            ),
            label=f"exclusive={_exclusive},reverse={_reverse}",
        )


def _layer_norm(c: Const, x: Array, axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    mean = x.mean(axes, keepdims=True)
    scale = np.sqrt(x.var(axes, keepdims=True) + 0.125)
    count = math.prod(shape)
    gamma, beta = (np.reshape(c(_random(seed, count)), shape) for seed in (13, 14))
    return (x - mean) / scale * gamma + beta


for _axes, _shape, _stored in (
    ([1], (4, 1, 1), (4,)),
    ([2, -1], (6, 5), (6, 5)),
    ([1, 3], (4, 1, 5), (4, 5)),
):
    case(
        "layer_norm",
        X,
        lambda c, x, axes=_axes, stored=_stored: mb.layer_norm(
            x=x,
            axes=axes,
            gamma=c(_random(13, math.prod(stored)).reshape(stored)),
            beta=c(_random(14, math.prod(stored)).reshape(stored)),
            epsilon=c(0.125),
        ),
        lambda c, x, axes=_axes, shape=_shape: _layer_norm(c, x, tuple(axes), shape),
        label=str(_axes),
    )
_M, _V, _G, _O = (_random(seed, 4) for seed in (15, 16, 17, 18))
case(
    "batch_norm",
    X,
    lambda c, x: mb.batch_norm(
        x=x, mean=c(_M), variance=c(np.abs(_V)), gamma=c(_G), beta=c(_O), epsilon=c(0.125)
    ),
    lambda c, x: (
        (x - c(_M).reshape(4, 1, 1))
        / np.sqrt(c(np.abs(_V)) + 0.125).reshape(4, 1, 1)
        * c(_G).reshape(4, 1, 1)
        + c(_O).reshape(4, 1, 1)
    ),
)
case(
    "instance_norm",
    X,
    lambda c, x: mb.instance_norm(x=x, gamma=c(_G), beta=c(_O), epsilon=c(0.125)),
    lambda c, x: (
        (x - x.mean((2, 3), keepdims=True))
        / np.sqrt(x.var((2, 3), keepdims=True) + 0.125)
        * c(_G).reshape(4, 1, 1)
        + c(_O).reshape(4, 1, 1)
    ),
)

# Moved values.

case(
    "reshape",
    COUNT,
    lambda c, x: mb.reshape(x=x, shape=[0, 4, -1, 6]),
    lambda c, x: x.reshape(2, 4, 8, 6),
)
case(
    "reshape",
    COUNT,
    lambda c, x: mb.reshape(x=x, shape=[1, -1, 0]),
    lambda c, x: x.reshape(1, 64, 6),
    opset=ct.target.iOS17,
    label="zeros-from-the-end",
)
case(
    "reshape_like",
    COUNT,
    lambda c, x: mb.reshape_like(
        x=mb.reshape(x=x, shape=[16, 24]),
        ref_tensors=(x, x),
        begins=(0, 2),
        ends=(2, 0),
        end_masks=(False, True),
    ),
    lambda c, x: x,
)
case(
    "transpose",
    COUNT,
    lambda c, x: mb.transpose(x=x, perm=[0, 2, -1, 1]),
    lambda c, x: np.moveaxis(x, 1, 3),
)
case(
    "expand_dims",
    MATRIX,
    lambda c, x: mb.expand_dims(x=x, axes=[-1, 1]),
    lambda c, x: x.reshape(3, 1, 4, 1),
)
case(
    "squeeze",
    MATRIX[:, None, :, None],
    lambda c, x: mb.squeeze(x=x, axes=[-1]),
    lambda c, x: x.reshape(3, 1, 4),
)
case(
    "squeeze",
    MATRIX[:, None, :, None],
    lambda c, x: mb.squeeze(x=x),
    lambda c, x: x.reshape(3, 4),
    label="all",
)
case(
    "concat",
    (X, COUNT[:, :3, :1, :5]),
    lambda c, x, y: mb.concat(values=(x, mb.tile(x=y, reps=[1, 1, 6, 1])), axis=-3),
    lambda c, x, y: np.concatenate([x, np.repeat(y, 6, 2)], 1),
)
case(
    "concat",
    (X, Y),
    lambda c, x, y: mb.concat(values=(x, y), axis=1, interleave=True),
    lambda c, x, y: np.stack(
        [x[:, 0], y[:, 0], x[:, 1], y[:, 1], x[:, 2], y[:, 2], x[:, 3], y[:, 3]], 1
    ),
    label="interleave",
)
case(
    "stack",
    (X, Y),
    lambda c, x, y: mb.stack(values=(x, y), axis=-1),
    lambda c, x, y: np.stack([x, y], -1),
)
case(
    "split",
    COUNT,
    lambda c, x: mb.split(x=x, num_splits=4, axis=1),
    lambda c, x: tuple(x[:, i : i + 2] for i in (0, 2, 4, 6)),
)
case(
    "split",
    COUNT,
    lambda c, x: mb.split(x=x, split_sizes=[1, 3], axis=-2),
    lambda c, x: (x[:, :, :1], x[:, :, 1:]),
    label="sizes",
)
case(
    "tile",
    MATRIX,
    lambda c, x: mb.tile(x=x, reps=[2, 3]),
    lambda c, x: np.block([[x, x, x], [x, x, x]]),
)
case(
    "reverse",
    COUNT,
    lambda c, x: mb.reverse(x=x, axes=[1, -1]),
    lambda c, x: x[:, ::-1, :, ::-1],
)
case(
    "slice_by_index",
    COUNT,
    lambda c, x: mb.slice_by_index(
        x=x,
        begin=[1, 1, 3, 0],
        end=[2, -1, 0, 3],
        stride=[1, 2, -1, 1],
        begin_mask=[True, False, False, False],
        end_mask=[True, False, False, True],
    ),
    lambda c, x: x[:, 1:-1:2, 3:0:-1, 0:],
)
case(
    "slice_by_index",
    COUNT,
    lambda c, x: mb.slice_by_index(
        x=x,
        begin=[1, -2, 0, 0],
        end=[0, 0, 2, 6],
        squeeze_mask=[True, True, False, False],
    ),
    lambda c, x: x[1, -2, :2],
    label="squeeze",
)
case(
    "slice_by_size",
    COUNT,
    lambda c, x: mb.slice_by_size(x=x, begin=[0, -3, 1, 0], size=[1, 2, -1, 6]),
    lambda c, x: x[:1, 5:7, 1:],
)
case(
    "slice_by_size",
    (COUNT, np.array([1, 2, 0, 0], np.int32)),
    lambda c, x, begin: mb.slice_by_size(x=x, begin=begin, size=[1, 2, 4, 6]),
    lambda c, x, begin: x[1:, 2:4],
    label="live-begin",
)


def _updated(c: Const, x: Array, update: Array) -> Array:
    out = x.copy()
    out[1:2, ::3, 2, :] = update
    return out


case(
    "slice_update",
    (COUNT, _random(19, 1, 3, 6)),
    lambda c, x, update: mb.slice_update(
        x=x,
        update=update,
        begin=[1, 0, 2, 0],
        end=[2, 0, 0, 0],
        stride=[1, 3, 1, 1],
        end_mask=[False, True, False, True],
        squeeze_mask=[False, False, True, False],
    ),
    _updated,
    opset=ct.target.iOS18,
)
for _mode, _kind in {"constant": "constant", "reflect": "reflect", "replicate": "edge"}.items():
    case(
        "pad",
        X,
        lambda c, x, mode=_mode: mb.pad(x=x, pad=[1, 2, 3, 0], mode=mode, constant_val=c(0.5)),
        lambda c, x, kind=_kind: np.pad(
            x,
            [(0, 0), (0, 0), (1, 2), (3, 0)],
            kind,
            **({"constant_values": 0.5} if kind == "constant" else {}),
        ),
        label=_mode,
    )
case(
    "crop",
    COUNT,
    lambda c, x: mb.crop(x=x, crop_height=[1, 0], crop_width=[2, 1]),
    lambda c, x: x[:, :, 1:, 2:-1],
)
case(
    "pixel_shuffle",
    COUNT,
    lambda c, x: mb.pixel_shuffle(x=x, upscale_factor=2),
    lambda c, x: np.einsum("ncijhw->nchiwj", x.reshape(2, 2, 2, 2, 4, 6)).reshape(2, 2, 8, 12),
)
case(
    "pixel_unshuffle",
    COUNT,
    lambda c, x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
    lambda c, x: np.stack([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 2).reshape(
        2, 32, 2, 3
    ),
)


def _depth_to_space(c: Const, x: Array) -> Array:
    out = np.zeros((2, 2, 8, 12))
    for i in (0, 1):
        for j in (0, 1):
            block = 2 * (2 * i + j)
            out[:, :, i::2, j::2] = x[:, block : block + 2]
    return out


case("depth_to_space", COUNT, lambda c, x: mb.depth_to_space(x=x, block_size=2), _depth_to_space)
case(
    "space_to_depth",
    COUNT,
    lambda c, x: mb.space_to_depth(x=x, block_size=2),
    lambda c, x: np.concatenate([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 1),
)
case(
    "space_to_batch",
    COUNT,
    lambda c, x: mb.space_to_batch(x=x, block_shape=[2, 3], paddings=[[0, 2], [1, 2]]),
    lambda c, x: np.concatenate(
        [
            np.pad(x, [(0, 0), (0, 0), (0, 2), (1, 2)])[:, :, i::2, j::3]
            for i in (0, 1)
            for j in (0, 1, 2)
        ],
        0,
    ),
)


def _batch_to_space(c: Const, x: Array) -> Array:
    out = np.zeros((1, 8, 4, 12))
    out[..., ::2], out[..., 1::2] = x[:1], x[1:]
    return out[:, :, 1:, 2:-3]


case(
    "batch_to_space",
    COUNT,
    lambda c, x: mb.batch_to_space(x=x, block_shape=[1, 2], crops=[[1, 0], [2, 3]]),
    _batch_to_space,
)
case(
    "sliding_windows",
    COUNT,
    lambda c, x: mb.sliding_windows(x=x, axis=2, size=2, stride=2),
    lambda c, x: np.stack([x[:, :, 0:2], x[:, :, 2:4]], 2),
)
case(
    "band_part",
    X,
    lambda c, x: mb.band_part(x=x, lower=1, upper=2),
    lambda c, x: np.tril(np.triu(x, -1), 2),
)
case(
    "band_part",
    X,
    lambda c, x: mb.band_part(x=x, lower=-1, upper=0),
    lambda c, x: np.tril(x),
    label="lower",
)
case(
    "shape",
    X,
    lambda c, x: mb.add(x=mb.shape(x=x), y=np.int32(1)),
    lambda c, x: np.array([3, 5, 7, 6]),
)
case(
    "fill",
    np.array([2, 3], np.int32),
    lambda c, shape: mb.reduce_sum(x=mb.fill(shape=shape, value=c(0.5)), axes=[0]),
    lambda c, shape: np.ones(3),
)
case(
    "fill_like",
    X,
    lambda c, x: mb.fill_like(ref_tensor=x, value=c(0.5)),
    lambda c, x: np.full(x.shape, 0.5),
)
case(
    "range_1d",
    np.array([9], np.int32),
    lambda c, end: mb.range_1d(start=2, end=mb.squeeze(x=end), step=3),
    lambda c, end: np.array([2, 5, 8]),
    half=False,
)
case(
    "one_hot",
    np.array([[2, 0], [1, 3]], np.int32),
    lambda c, x: mb.one_hot(
        indices=x, one_hot_vector_size=3, axis=1, on_value=c(0.5), off_value=c(-1)
    ),
    lambda c, x: np.array([[[-1, 0.5], [-1, -1], [0.5, -1]], [[-1, -1], [0.5, -1], [-1, -1]]]),
)

# Gathers and scatters.

case(
    "gather",
    (X, np.array([[2, -1, 0]], np.int32)),
    lambda c, x, i: mb.gather(x=x, indices=i, axis=1),
    lambda c, x, i: x[:, [2, 3, 0]][:, None],
)
case(
    "gather",
    (X, np.array([[2, 1], [0, 3]], np.int32)),
    lambda c, x, i: mb.gather(x=x, indices=i, axis=2, batch_dims=1),
    lambda c, x, i: np.stack([x[0][:, [2, 1]], x[1][:, [0, 3]]]),
    label="batch",
)
case(
    "gather",
    X,
    lambda c, x: mb.gather(x=x, indices=np.int32(2), axis=-1, validate_indices=False),
    lambda c, x: x[..., 2],
    opset=ct.target.iOS17,
    label="scalar",
)
_PICK = np.random.default_rng(20).integers(-3, 3, (2, 4)).astype(np.int32)
case(
    "gather_along_axis",
    (MATRIX, _PICK),
    lambda c, x, i: mb.gather_along_axis(x=x, indices=i, axis=0),
    lambda c, x, i: np.take_along_axis(x, _PICK, 0),
)
_POINTS = np.array([[1, 3], [0, -1]], np.int32)
case(
    "gather_nd",
    (X, _POINTS),
    lambda c, x, i: mb.gather_nd(x=x, indices=i),
    lambda c, x, i: np.stack([x[1, 3], x[0, 3]]),
)
case(
    "gather_nd",
    (X, np.array([[[3, 1]], [[0, 5]]], np.int32)),
    lambda c, x, i: mb.gather_nd(x=x, indices=i, batch_dims=1),
    lambda c, x, i: np.stack([x[0, 3, 1][None], x[1, 0, 5][None]]),
    label="batch",
)

_TO = np.array([2, 0, 2], np.int32)
_ADD = np.array([[1.0, 2], [3, 4], [5, 6]], np.float32)
_BASE = np.array([[8.0, 8], [8, 8], [8, 8], [8, 8]], np.float32)
_SCATTERED = {
    "add": [[11, 12], [8, 8], [14, 16], [8, 8]],
    "sub": [[5, 4], [8, 8], [2, 0], [8, 8]],
    "mul": [[24, 32], [8, 8], [40, 96], [8, 8]],
    "div": [[8 / 3, 2], [8, 8], [8 / 5, 8 / 12], [8, 8]],
    "max": [[8, 8], [8, 8], [8, 8], [8, 8]],
    "min": [[3, 4], [8, 8], [1, 2], [8, 8]],
}
for _mode, _rows in _SCATTERED.items():
    case(
        "scatter",
        (_BASE, _TO, _ADD),
        lambda c, x, i, u, mode=_mode: mb.scatter(data=x, indices=i, updates=u, axis=0, mode=mode),
        lambda c, x, i, u, rows=_rows: np.array(rows),
        label=_mode,
    )
case(
    "scatter",
    (_BASE, np.array([1], np.int32), _BASE[:, :1] + 1),
    lambda c, x, i, u: mb.scatter(data=x, indices=i, updates=u, axis=-1, mode="update"),
    lambda c, x, i, u: np.array([[8, 9]] * 4),
    label="update",
)
case(
    "scatter_along_axis",
    (_BASE, np.array([[3, 0]], np.int32), np.array([[1.0, 2]], np.float32)),
    lambda c, x, i, u: mb.scatter_along_axis(data=x, indices=i, updates=u, axis=0, mode="update"),
    lambda c, x, i, u: np.array([[8, 2], [8, 8], [8, 8], [1, 8]]),
)
case(
    "scatter_nd",
    (_BASE, np.array([[3, 0], [1, 1]], np.int32), np.array([1.0, 2], np.float32)),
    lambda c, x, i, u: mb.scatter_nd(data=x, indices=i, updates=u, mode="add"),
    lambda c, x, i, u: np.array([[8, 8], [8, 10], [8, 8], [9, 8]]),
)

# Resampling.


def _interpolated(x: Array, rows: list[float], columns: list[float]) -> Array:
    """Values at given points, by NumPy's own interpolation."""
    height, width = x.shape[-2:]
    flat = x.reshape(-1, height, width)
    out = [
        [
            np.interp(columns, np.arange(width), row)
            for row in np.array(
                [np.interp(rows, np.arange(height), column) for column in plane.T]
            ).T
        ]
        for plane in flat
    ]
    return np.reshape(out, (*x.shape[:-2], len(rows), len(columns)))


_GRIDS: dict[str, tuple[list[float], list[float]]] = {
    # 6 rows to 4, 5 columns to 8.
    "STRICT_ALIGN_CORNERS": ([0, 5 / 3, 10 / 3, 5], [i * 4 / 7 for i in range(8)]),
    "ALIGN_CORNERS": ([0, 5 / 3, 10 / 3, 5], [i * 4 / 7 for i in range(8)]),
    "DEFAULT": ([0, 1.5, 3, 4.5], [0, 0.625, 1.25, 1.875, 2.5, 3.125, 3.75, 4]),
    "OFFSET_CORNERS": ([0.625, 1.875, 3.125, 4.375], [0.25 + i / 2 for i in range(8)]),
    "UNALIGN_CORNERS": (
        [0.25, 1.75, 3.25, 4.75],
        [0, 0.4375, 1.0625, 1.6875, 2.3125, 2.9375, 3.5625, 4],
    ),
}
for _mode, _points in _GRIDS.items():
    case(
        "resize_bilinear",
        X,
        lambda c, x, mode=_mode: mb.resize_bilinear(
            x=x, target_size_height=4, target_size_width=8, sampling_mode=mode
        ),
        lambda c, x, points=_points: _interpolated(x, *points),
        label=_mode,
    )
    case(
        "resize",
        X,
        lambda c, x, mode=_mode: mb.resize(
            x=x, shape=[4, 8], resized_dims=np.uint32(2), sampling_mode=mode
        ),
        lambda c, x, points=_points: _interpolated(x, *points),
        opset=ct.target.iOS17,
        label=_mode,
    )
for _mode, _row in {"ALIGN_CORNERS": 2.5, "STRICT_ALIGN_CORNERS": 0.0, "DEFAULT": 0.0}.items():
    case(
        "resize_bilinear",
        X,
        lambda c, x, mode=_mode: mb.resize_bilinear(
            x=x, target_size_height=1, target_size_width=5, sampling_mode=mode
        ),
        lambda c, x, row=_row: _interpolated(x, [row], [0, 1, 2, 3, 4]),
        label=f"{_mode}-one-row",
    )


case(
    "resize",
    X,
    lambda c, x: mb.resize(
        x=x, shape=[1, 0, 10], resized_dims=np.uint32(2), interpolation_mode="NEAREST_NEIGHBOR"
    ),
    lambda c, x: np.repeat(x, 2, 3),
    opset=ct.target.iOS17,
    label="nearest",
)
case(
    "resize_nearest_neighbor",
    X,
    lambda c, x: mb.resize_nearest_neighbor(x=x, target_size_height=4, target_size_width=10),
    lambda c, x: np.repeat(x[:, :, [0, 1, 3, 4]], 2, 3),
)
case(
    "upsample_nearest_neighbor",
    X,
    lambda c, x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=1.5, scale_factor_width=2.0),
    lambda c, x: np.repeat(x[:, :, [0, 0, 1, 2, 2, 3, 4, 4, 5]], 2, 3),
)
for _align, _half in ((True, None), (False, None), (False, False)):
    case(
        "upsample_bilinear",
        X,
        lambda c, x, align=_align, half=_half: mb.upsample_bilinear(
            x=x,
            scale_factor_height=2,
            scale_factor_width=3,
            align_corners=align,
            half_pixel_centers=half,
        ),
        (
            (lambda c, x: _interpolated(x, [i / 2 for i in range(12)], [i / 3 for i in range(15)]))
            if _half is False
            else as_torch(
                lambda c, x, align=_align: F.interpolate(
                    x, scale_factor=(2, 3), mode="bilinear", align_corners=align
                )
            )
        ),
        label=f"align={_align},half={_half}",
    )

# Quantized.

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


DTYPES = ("float32", "float16")


def _runs(entry: Case, dtype: str) -> bool:
    return entry.half or dtype == "float32"


def _results(entries: list[Case], dtype: str, path: Any) -> list[tuple[Array, ...]]:
    """What the evaluator computes for each case."""
    arrays = [
        array if array.dtype == np.int32 else array.astype(dtype)
        for entry in entries
        for array in entry.inputs
    ]
    counts: list[int] = []

    def build(*variables: Any) -> list[Any]:
        waiting, outputs = list(variables), []
        for entry in entries:
            taken = [waiting.pop(0) for _ in entry.inputs]
            results = entry.build(lambda value: np.asarray(value).astype(dtype)[()], *taken)
            results = results if isinstance(results, (tuple, list)) else (results,)
            counts.append(len(results))
            outputs.extend(results)
        return outputs

    save_program(path, [(a.shape, a.dtype.name) for a in arrays], build, entries[0].opset)
    evaluator = Evaluator(path)
    missing = {entry.op for entry in entries} - {op.type for op in evaluator.program.operations}
    assert not missing, f"the package does not hold {missing}"
    outputs = list(evaluator.run({f"x{i}": array for i, array in enumerate(arrays)}).values())
    return [tuple(outputs.pop(0) for _ in range(count)) for count in counts]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, str], tuple[Array, ...]]:
    """{(index of the case, dtype): results}."""
    folder = tmp_path_factory.mktemp("packages")
    found = {}
    for opset in {entry.opset for entry in CASES}:
        for dtype in DTYPES:
            chosen = [entry for entry in CASES if entry.opset == opset and _runs(entry, dtype)]
            path = folder / f"{opset.name}-{dtype}.mlpackage"
            for entry, results in zip(chosen, _results(chosen, dtype, path), strict=True):
                found[CASES.index(entry), dtype] = results
    return found


@pytest.mark.parametrize(
    ("index", "dtype"),
    [
        pytest.param(index, dtype, id="-".join(filter(None, (entry.op, entry.label, dtype))))
        for index, entry in enumerate(CASES)
        for dtype in DTYPES
        if _runs(entry, dtype)
    ],
)
def test_operator(
    index: int, dtype: str, computed: dict[tuple[int, str], tuple[Array, ...]]
) -> None:
    entry, actual = CASES[index], computed[index, dtype]
    inputs = [
        a if a.dtype == np.int32 else a.astype(dtype).astype(np.float64) for a in entry.inputs
    ]
    expected = entry.expected(
        lambda value: np.asarray(value).astype(dtype).astype(np.float64), *inputs
    )
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert len(actual) == len(expected)
    for left, right in zip(actual, expected, strict=True):
        assert left.shape == np.shape(right)
        if left.dtype == np.int32:
            np.testing.assert_array_equal(left, right)
        elif left.dtype == np.float16:
            # One rounding of a float32 result: within half a unit in the last place, and a little
            # for results that lie at the middle between two.
            unit = np.spacing(np.abs(right).astype(np.float16)).astype(np.float64)
            assert np.all(np.abs(left - right) <= 0.51 * unit + 1e-6)
        else:
            np.testing.assert_allclose(left, right, rtol=2e-5, atol=2e-6)


def test_every_operator_has_a_case() -> None:
    assert {entry.op for entry in CASES} == set(OPERATORS)
