"""Gathers and scatters."""

from __future__ import annotations

import numpy as np
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  # as its documentation

from tests.export.targets.coreml.op_cases.case import MATRIX, X, case
from tests.export.targets.coreml.packages import ct

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
