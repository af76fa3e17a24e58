"""Resampling."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  # as its documentation

from tests.export.targets.coreml.op_cases.case import Array, X, as_torch, case
from tests.export.targets.coreml.packages import ct


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
