"""The steps of a preprocessing specification: their parameters, and their implementation.

Every step names its operation in `op`, as manifests do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lvt.config import Size
from lvt.data.resize import Filter, resize_uint8
from lvt.errors import UserError
from lvt.support.validation import number, whole_number


@dataclass(frozen=True)
class Stretch:
    """Resizes to a fixed size without keeping the aspect ratio."""

    op: ClassVar[str] = "stretch"
    size: Size
    filter: Filter


@dataclass(frozen=True)
class ShorterSide:
    """Resizes the shorter side to `side` and keeps the ratio; the longer side is rounded down."""

    op: ClassVar[str] = "shorter_side"
    side: int
    filter: Filter


@dataclass(frozen=True)
class FitWithin:
    """Resizes within limits of the long and the short side; keeps the ratio, rounds half up."""

    op: ClassVar[str] = "fit_within"
    long: int
    short: int
    filter: Filter


@dataclass(frozen=True)
class FitInto:
    """Resizes to the largest size that fits into `size`; keeps the ratio, rounds half up."""

    op: ClassVar[str] = "fit_into"
    size: Size
    filter: Filter


@dataclass(frozen=True)
class AlignUp:
    """Resizes each side up to the next multiple of `multiple`."""

    op: ClassVar[str] = "align_up"
    multiple: int
    filter: Filter


@dataclass(frozen=True)
class CenterCrop:
    """Crops the centre; the offset is rounded half to even."""

    op: ClassVar[str] = "center_crop"
    size: Size


@dataclass(frozen=True)
class Normalise:
    """float32 (x / scale - mean) / std per channel, rounded to float32 after each operation."""

    op: ClassVar[str] = "normalise"
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class PadTo:
    """Pads with zeros on the right and at the bottom to a fixed size."""

    op: ClassVar[str] = "pad_to"
    size: Size


@dataclass(frozen=True)
class PadUp:
    """Pads with zeros on the right and at the bottom to the next multiple of `multiple`."""

    op: ClassVar[str] = "pad_up"
    multiple: int


Resize = Stretch | ShorterSide | FitWithin | FitInto | AlignUp
PreprocessingStep = Resize | CenterCrop | Normalise | PadTo | PadUp
STEP_TYPES: dict[str, Callable[..., PreprocessingStep]] = {
    step.op: step
    for step in (
        Stretch,
        ShorterSide,
        FitWithin,
        FitInto,
        AlignUp,
        CenterCrop,
        Normalise,
        PadTo,
        PadUp,
    )
}
"""The type of each step by its operation."""


_MAX_SIDE = 1 << 14
"""Upper limit of the sizes and multiples of a step, in pixels."""

_MAX_PIXELS = 1 << 27
"""Limit of a resized picture: 1.5 times as many as Pillow decodes without a warning."""


def check_step(step: PreprocessingStep) -> None:
    """Checks the parameters of a step from a file, before pictures are resized to them.

    Raises:
        UserError: a parameter is out of the range that any network needs.
    """
    for name, value in asdict(step).items():
        if name == "filter":
            continue
        if isinstance(step, Normalise):
            for entry in value if isinstance(value, tuple) else (value,):
                number(entry, f"preprocessing: {name}", -1e6 if name == "mean" else 1e-6, 1e6)
        else:
            for entry in value if isinstance(value, tuple) else (value,):
                whole_number(entry, f"preprocessing: {step.op}'s {name}", 1, _MAX_SIDE)


def _round_half_up(value: float) -> int:
    return int(value + 0.5)


def resized_size(step: Resize, size: Size) -> Size:
    """(height, width) of a picture of `size` after the resize."""
    height, width = size
    match step:
        case Stretch():
            return step.size
        case ShorterSide():
            if height <= width:
                return step.side, max(1, int(step.side * width / height))
            return max(1, int(step.side * height / width)), step.side
        case FitWithin():
            factor = min(step.long / max(height, width), step.short / min(height, width))
            return max(1, _round_half_up(height * factor)), max(1, _round_half_up(width * factor))
        case FitInto():
            factor = min(step.size[0] / height, step.size[1] / width)
            return max(1, _round_half_up(height * factor)), max(1, _round_half_up(width * factor))
        case AlignUp():
            return _round_up(height, step.multiple), _round_up(width, step.multiple)


def _round_up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def apply_step(step: PreprocessingStep, x: NDArray[Any]) -> NDArray[Any]:
    """The picture (H, W, 3) after the step, channels last.

    Raises:
        UserError: the resized picture would be too large.
    """
    height, width = x.shape[:2]
    match step:
        case CenterCrop():
            top, left = round((height - step.size[0]) / 2), round((width - step.size[1]) / 2)
            return x[top : top + step.size[0], left : left + step.size[1]]
        case Normalise():
            scaled = x.astype(np.float32) / np.float32(step.scale)
            return (scaled - np.array(step.mean, np.float32)) / np.array(step.std, np.float32)
        case PadTo():
            return _pad(x, step.size)
        case PadUp():
            return _pad(x, (_round_up(height, step.multiple), _round_up(width, step.multiple)))
        case _:
            size = resized_size(step, (height, width))
            if size[0] * size[1] > _MAX_PIXELS:  # very elongated pictures, whose ratio is kept
                raise UserError(
                    f"a picture of {width}x{height} pixels would be resized to "
                    f"{size[1]}x{size[0]}: crop it to a less elongated one"
                )
            return resize_uint8(x, size, step.filter)


def _pad(x: NDArray[Any], size: Size) -> NDArray[Any]:
    return np.pad(x, ((0, size[0] - x.shape[0]), (0, size[1] - x.shape[1]), (0, 0)))
