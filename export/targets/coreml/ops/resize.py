"""Resampling of the last axes of (..., H, W)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from export.targets.coreml.ops.operator_types import Operator, UnsupportedError


def _grid(size: int, out: int, sampling_mode: str) -> Tensor:
    """Position of each output point on the input axis: (out,) float64 within [0, size - 1]."""
    steps = torch.arange(out, dtype=torch.float64)
    if sampling_mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if out > 1:
            points = steps * ((size - 1) / (out - 1))
        else:
            points = steps + ((size - 1) / 2 if sampling_mode == "ALIGN_CORNERS" else 0)
    elif sampling_mode == "DEFAULT":
        points = steps * (size / out)
    elif sampling_mode == "OFFSET_CORNERS":
        points = (steps + 0.5) * (max(1, size - 1) / out)
    elif sampling_mode == "UNALIGN_CORNERS":
        points = (steps + 0.5) * (size / out) - 0.5
    else:
        raise UnsupportedError(f"sampling_mode {sampling_mode}")
    return points.clamp(0, size - 1)


def _linear(x: Tensor, axis: int, out: int, sampling_mode: str) -> Tensor:
    size = x.shape[axis]
    points = _grid(size, out, sampling_mode)
    low = points.floor().long()
    high = (low + 1).clamp(max=size - 1)
    weight = (points - low).to(torch.float32).view(-1, *[1] * (x.ndim - 1 - axis % x.ndim))
    return torch.lerp(x.index_select(axis, low), x.index_select(axis, high), weight)


def _nearest(x: Tensor, axis: int, out: int) -> Tensor:
    """Takes the input point at or before each output point, as TensorFlow and torch do."""
    positions = torch.arange(out) * x.shape[axis] // out
    return x.index_select(axis, positions)


def _upsample_nearest_neighbor(
    x: Tensor, scale_factor_height: float = 1.0, scale_factor_width: float = 1.0
) -> Tensor:
    height, width = _scaled(x, scale_factor_height, scale_factor_width)
    return _nearest(_nearest(x, -2, height), -1, width)


def _resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    return _nearest(_nearest(x, -2, target_size_height), -1, target_size_width)


def _scaled(x: Tensor, height: float, width: float) -> tuple[int, int]:
    return math.floor(x.shape[-2] * height), math.floor(x.shape[-1] * width)


def _upsample_bilinear(
    x: Tensor,
    scale_factor_height: float = 1.0,
    scale_factor_width: float = 1.0,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    half_pixel = not align_corners if half_pixel_centers is None else half_pixel_centers
    if align_corners and half_pixel:
        raise UnsupportedError("align_corners together with half_pixel_centers")
    if align_corners:
        mode = "STRICT_ALIGN_CORNERS"
    else:
        mode = "UNALIGN_CORNERS" if half_pixel else "DEFAULT"
    height, width = _scaled(x, scale_factor_height, scale_factor_width)
    return _resize_bilinear(x, height, width, mode)


def _resize_bilinear(
    x: Tensor,
    target_size_height: int = 1,
    target_size_width: int = 1,
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    rows = _linear(x, -2, target_size_height, sampling_mode)
    return _linear(rows, -1, target_size_width, sampling_mode)


def _resize(
    x: Tensor,
    shape: list[int],
    resized_dims: int,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    linear = interpolation_mode == "LINEAR"
    if not linear and sampling_mode != "DEFAULT":
        raise UnsupportedError(f"{interpolation_mode} with sampling_mode {sampling_mode}")
    for back in range(1, resized_dims + 1):
        out = shape[-back] or x.shape[-back]  # 0 keeps the size
        x = _linear(x, -back, out, sampling_mode) if linear else _nearest(x, -back, out)
    return x


OPERATORS: dict[str, Operator] = {
    "resize": _resize,
    "resize_bilinear": _resize_bilinear,
    "resize_nearest_neighbor": _resize_nearest_neighbor,
    "upsample_bilinear": _upsample_bilinear,
    "upsample_nearest_neighbor": _upsample_nearest_neighbor,
}
