"""Reductions, orderings and normalisations."""

from __future__ import annotations

import math

import numpy as np
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  # as its documentation

from tests.export.targets.coreml.op_cases.case import Array, Const, X, case, random_array
from tests.export.targets.coreml.packages import ct

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
    gamma, beta = (np.reshape(c(random_array(seed, count)), shape) for seed in (13, 14))
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
            gamma=c(random_array(13, math.prod(stored)).reshape(stored)),
            beta=c(random_array(14, math.prod(stored)).reshape(stored)),
            epsilon=c(0.125),
        ),
        lambda c, x, axes=_axes, shape=_shape: _layer_norm(c, x, tuple(axes), shape),
        label=str(_axes),
    )
_M, _V, _G, _O = (random_array(seed, 4) for seed in (15, 16, 17, 18))
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
