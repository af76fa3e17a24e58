"""Operators that move values."""

from __future__ import annotations

import numpy as np
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  # as its documentation

from tests.export.targets.coreml.op_cases.case import (
    COUNT,
    MATRIX,
    Array,
    Const,
    X,
    Y,
    case,
    random_array,
)
from tests.export.targets.coreml.packages import ct

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
    (COUNT, random_array(19, 1, 3, 6)),
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
