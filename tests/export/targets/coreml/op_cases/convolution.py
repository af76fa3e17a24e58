"""Convolutions and poolings."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  # as its documentation

from tests.export.targets.coreml.op_cases.case import X, as_torch, case, random_array, tensor

_W = random_array(7, 8, 4, 3, 3)
_B = random_array(8, 8)
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
    (X, random_array(9, 4, 1, 3, 3)),
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
_WT = random_array(10, 4, 3, 3, 3)
_BT = random_array(11, 6)
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
