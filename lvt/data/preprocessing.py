"""From a picture file to the network's input: one specification, one implementation.

A specification is an ordered list of steps. It is written into every manifest together with the
hash of a golden tensor, so that Python and a phone can prove that they do the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lvt.config import Task
from lvt.data.images import SUFFIXES, PictureError, decode
from lvt.data.resize import FILTERS, Filter, resize_uint8
from lvt.errors import UserError
from lvt.support.validation import number, whole_number

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGENET_MEAN_255 = (123.675, 116.28, 103.53)
IMAGENET_STD_255 = (58.395, 57.12, 57.375)

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True)
class Stretch:
    """Resize to a fixed size, whatever that does to the aspect ratio."""

    op: ClassVar[str] = "stretch"
    size: Size
    filter: Filter


@dataclass(frozen=True)
class ShorterSide:
    """Resize so that the shorter side is `side`; the longer one is truncated to an integer."""

    op: ClassVar[str] = "shorter_side"
    side: int
    filter: Filter


@dataclass(frozen=True)
class FitWithin:
    """Resize, keeping the ratio, within a long and a short limit; sides rounded half up."""

    op: ClassVar[str] = "fit_within"
    long: int
    short: int
    filter: Filter


@dataclass(frozen=True)
class FitInto:
    """Resize, keeping the ratio, to the largest size inside `size`; sides rounded half up."""

    op: ClassVar[str] = "fit_into"
    size: Size
    filter: Filter


@dataclass(frozen=True)
class AlignUp:
    """Resize each side up to the next multiple."""

    op: ClassVar[str] = "align_up"
    multiple: int
    filter: Filter


@dataclass(frozen=True)
class CenterCrop:
    """Cut the centre; the offset is rounded half to even."""

    op: ClassVar[str] = "center_crop"
    size: Size


@dataclass(frozen=True)
class Normalise:
    """float32 (x / scale - mean) / std per channel, rounded after each operation."""

    op: ClassVar[str] = "normalise"
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class PadTo:
    """Zeros to the right and at the bottom, up to a fixed size."""

    op: ClassVar[str] = "pad_to"
    size: Size


@dataclass(frozen=True)
class PadUp:
    """Zeros to the right and at the bottom, up to the next multiple on each side."""

    op: ClassVar[str] = "pad_up"
    multiple: int


Resize = Stretch | ShorterSide | FitWithin | FitInto | AlignUp
Step = Resize | CenterCrop | Normalise | PadTo | PadUp
_STEPS: dict[str, Callable[..., Step]] = {
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


@dataclass(frozen=True)
class Preprocessing:
    """Ordered steps from an upright RGB picture (H, W, 3) uint8 to (1, 3, h, w) float32."""

    steps: tuple[Step, ...]

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Network input for a picture (H, W, 3) uint8 RGB: (1, 3, h, w) float32, NCHW.

        Raises:
            UserError: the picture is so elongated that resizing would blow it up.
        """
        x: NDArray[Any] = image
        for step in self.steps:
            x = _apply(step, x)
        return np.ascontiguousarray(x.transpose(2, 0, 1)[None])

    def content_size(self, original: Size) -> Size:
        """Which part of the network input, from its upper left corner, shows the picture.

        The rest is padding. Only for transforms without a crop.
        """
        size = original
        for step in self.steps:
            if isinstance(step, Resize):
                size = _resized(step, size)
        return size

    def to_dict(self) -> dict[str, Any]:
        """As it stands in manifests, with the golden tensor's hash."""
        return {
            "exif_orientation": True,
            "color": "RGB",
            "steps": [{"op": step.op, **asdict(step)} for step in self.steps],
            "layout": "NCHW",
            "dtype": "float32",
            "golden": {"picture": GOLDEN_RULE, "sha256": self.golden_sha256()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Inverse of `to_dict`; recomputes the golden tensor.

        Raises:
            UserError: unknown steps, or the golden tensor differs: this version of the code does
                not do what the writer of the manifest did.
        """
        try:
            steps = []
            for entry in data["steps"]:
                values = {
                    key: tuple(value) if isinstance(value, list) else value
                    for key, value in entry.items()
                    if key != "op"
                }
                if values.get("filter", FILTERS[0]) not in FILTERS:
                    raise UserError(f"unknown resize filter {values['filter']!r}")
                steps.append(_STEPS[entry["op"]](**values))
            spec, golden = cls(tuple(steps)), data["golden"]["sha256"]
            for step in steps:
                _check(step)
            recomputed = spec.golden_sha256()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise UserError(f"the manifest's preprocessing is not understood: {error!r}") from error
        if recomputed != golden:
            raise UserError(
                "preprocessing gives another golden tensor than the manifest records; "
                "export the artifact again with this version"
            )
        return spec

    def golden_sha256(self) -> str:
        """Hash of the little-endian float32 bytes of the golden picture's network input."""
        tensor = self(golden_picture()).astype("<f4", copy=False)
        return hashlib.sha256(tensor.tobytes()).hexdigest()


_LONGEST_SIDE = 1 << 14
_MOST_PIXELS = 1 << 27
"""Of a resized picture. As many as Pillow decodes without a warning, and a half more."""


def _check(step: Step) -> None:
    """Refuses numbers that no network's input has, before pictures are resized to them.

    Raises:
        UserError: names the number.
    """
    for name, value in asdict(step).items():
        if name == "filter":
            continue
        if isinstance(step, Normalise):
            for part in value if isinstance(value, tuple) else (value,):
                number(part, f"preprocessing: {name}", -1e6 if name == "mean" else 1e-6, 1e6)
        else:
            for part in value if isinstance(value, tuple) else (value,):
                whole_number(part, f"preprocessing: {step.op}'s {name}", 1, _LONGEST_SIDE)


GOLDEN_RULE = "131x97 RGB: value(x, y, c) = (7 x + 13 y + 29 c + x y) mod 256"


def golden_picture() -> NDArray[np.uint8]:
    """The picture of `GOLDEN_RULE`, 97 rows by 131 columns: integers any language can make."""
    y, x, c = np.ogrid[:97, :131, :3]
    return ((7 * x + 13 * y + 29 * c + x * y) % 256).astype(np.uint8)


def _half_up(value: float) -> int:
    return int(value + 0.5)


def _resized(step: Resize, size: Size) -> Size:
    """The size a resize gives to a picture of `size`."""
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
            return max(1, _half_up(height * factor)), max(1, _half_up(width * factor))
        case FitInto():
            factor = min(step.size[0] / height, step.size[1] / width)
            return max(1, _half_up(height * factor)), max(1, _half_up(width * factor))
        case AlignUp():
            return _round_up(height, step.multiple), _round_up(width, step.multiple)


def _round_up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def _apply(step: Step, x: NDArray[Any]) -> NDArray[Any]:
    height, width = x.shape[:2]
    match step:
        case CenterCrop():
            top, left = round((height - step.size[0]) / 2), round((width - step.size[1]) / 2)
            return x[top : top + step.size[0], left : left + step.size[1]]
        case Normalise():
            scaled = x.astype(np.float32) / np.float32(step.scale)
            return (scaled - np.array(step.mean, np.float32)) / np.array(step.std, np.float32)
        case PadTo():
            return _padded(x, step.size)
        case PadUp():
            return _padded(x, (_round_up(height, step.multiple), _round_up(width, step.multiple)))
        case _:
            size = _resized(step, (height, width))
            if size[0] * size[1] > _MOST_PIXELS:  # of the thinnest pictures, by keeping the ratio
                raise UserError(
                    f"a picture of {width}x{height} pixels would be resized to "
                    f"{size[1]}x{size[0]}: crop it to a less elongated one"
                )
            return resize_uint8(x, size, step.filter)


def _padded(x: NDArray[Any], size: Size) -> NDArray[Any]:
    return np.pad(x, ((0, size[0] - x.shape[0]), (0, size[1] - x.shape[1]), (0, 0)))


def official(
    task: Task, mean: tuple[float, ...] | None = None, std: tuple[float, ...] | None = None
) -> Preprocessing:
    """The official evaluation transform of a task, whose output size depends on the picture.

    A bare backbone has no transform of its own; it takes classification's. `mean` and `std` are on
    the 0..255 scale; ImageNet's by default.
    """
    normalise = Normalise(1.0, mean or IMAGENET_MEAN_255, std or IMAGENET_STD_255)
    if task == "semantic":
        return Preprocessing(
            (
                FitWithin(2048, 512, "opencv_bilinear"),
                AlignUp(32, "opencv_bilinear"),
                normalise,
            )
        )
    if task == "panoptic":
        return Preprocessing(
            (
                FitWithin(1333, 800, "opencv_bilinear"),
                normalise,
                PadUp(32),
            )
        )
    return fixed_size(task, (224, 224), mean, std)


CROP_FRACTION = 0.96
"""Share of the shorter side that classification's centre crop keeps."""


def fixed_size(
    task: Task,
    size: Size,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> Preprocessing:
    """The official transform with a fixed output size, as a phone wants it.

    Classification keeps its resize and centre crop, at the crop fraction of the official size.
    Semantic segmentation replaces its two resizes by one to `size`, so that the aspect ratio is
    that of `size`. Panoptic segmentation keeps the ratio and pads to `size` instead of to a
    multiple of 32. `mean` and `std` are on the 0..255 scale; ImageNet's by default.
    """
    normalise = Normalise(1.0, mean or IMAGENET_MEAN_255, std or IMAGENET_STD_255)
    if task == "semantic":
        return Preprocessing((Stretch(size, "opencv_bilinear"), normalise))
    if task == "panoptic":
        return Preprocessing((FitInto(size, "opencv_bilinear"), normalise, PadTo(size)))
    return Preprocessing(
        (
            ShorterSide(int(max(size) / CROP_FRACTION), "pillow_bicubic"),
            CenterCrop(size),
            Normalise(
                255.0,
                tuple(m / 255 for m in mean) if mean else IMAGENET_MEAN,
                tuple(s / 255 for s in std) if std else IMAGENET_STD,
            ),
        )
    )


def read_image(path: Path) -> NDArray[np.uint8]:
    """A picture file as upright RGB (H, W, 3) uint8; EXIF orientation is applied.

    Raises:
        UserError: no such file, or it cannot be read as a picture.
    """
    try:
        return decode(path)
    except FileNotFoundError:
        raise UserError(f"no image at {path}") from None
    except PictureError as error:
        raise UserError(f"cannot read {path} as an image: {error}") from error


def picture_files(folder: Path) -> list[Path]:
    """The picture files below `folder`: those in it, or where there are none those in subfolders.

    Hidden files are passed over; macOS puts one (`._name`) beside every picture on a foreign disk.

    Args:
        folder: an existing one.
    """
    direct = sorted(path for path in folder.iterdir() if _is_picture(path))
    below = (path for path in folder.rglob("*") if not path.is_dir())
    return direct or sorted(path for path in below if _is_picture(path))


def _is_picture(path: Path) -> bool:
    """By name: one that turns out to be a folder or a broken link is named by who reads it."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def list_images(folder: Path) -> list[Path]:
    """As `picture_files`, of which there must be some.

    Raises:
        UserError: not a folder, or no pictures in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of images")
    paths = picture_files(folder)
    if not paths:
        raise UserError(f"no images ({', '.join(sorted(SUFFIXES))}) in {folder}")
    return paths


def packaged_photos() -> list[Path]:
    """The public-domain photos that ship with the package."""
    return list_images(Path(__file__).parent / "photos")
