"""Preprocessing: the specification of how a picture becomes the network's input.

A specification is an ordered list of steps. Every manifest contains it together with the hash of a
golden tensor, so that Python and a phone can check that they compute the same input.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lvt.config import Size, Task
from lvt.data.preprocessing_steps import (
    STEP_TYPES,
    AlignUp,
    CenterCrop,
    FitInto,
    FitWithin,
    Normalise,
    PadTo,
    PadUp,
    PreprocessingStep,
    Resize,
    ShorterSide,
    Stretch,
    apply_step,
    check_step,
    resized_size,
)
from lvt.data.resize import FILTERS
from lvt.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGENET_MEAN_255 = (123.675, 116.28, 103.53)
IMAGENET_STD_255 = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Preprocessing:
    """Steps that turn an upright RGB picture into the network's input, in their order."""

    steps: tuple[PreprocessingStep, ...]

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Network input (1, 3, h, w) float32 for an upright RGB picture (H, W, 3) uint8.

        Raises:
            UserError: the picture is so elongated that the resized picture would be too large.
        """
        x: NDArray[Any] = image
        for step in self.steps:
            x = apply_step(step, x)
        return np.ascontiguousarray(x.transpose(2, 0, 1)[None])

    def content_size(self, original: Size) -> Size:
        """(height, width) of the part of the network input that shows the picture.

        The part begins at the upper left corner; the rest is padding. Not for specifications with
        a crop.
        """
        size = original
        for step in self.steps:
            if isinstance(step, Resize):
                size = resized_size(step, size)
        return size

    def to_dict(self) -> dict[str, Any]:
        """The specification as manifests contain it, with the hash of the golden tensor."""
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
        """Inverse of `to_dict`; checks the golden tensor.

        Raises:
            UserError: a step is unknown, or the golden tensor differs: this version of lvt-mobile
                does not compute the same input as the version that wrote the manifest.
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
                steps.append(STEP_TYPES[entry["op"]](**values))
            spec, golden = cls(tuple(steps)), data["golden"]["sha256"]
            for step in steps:
                check_step(step)
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
        """SHA-256 of the golden picture's network input, as little-endian float32."""
        tensor = self(golden_picture()).astype("<f4", copy=False)
        return hashlib.sha256(tensor.tobytes()).hexdigest()


GOLDEN_RULE = "131x97 RGB: value(x, y, c) = (7 x + 13 y + 29 c + x y) mod 256"
"""How to compute the golden picture, for implementations in other languages."""


def golden_picture() -> NDArray[np.uint8]:
    """The picture of `GOLDEN_RULE`: integer arithmetic that is the same in every language."""
    y, x, c = np.ogrid[:97, :131, :3]
    return ((7 * x + 13 * y + 29 * c + x * y) % 256).astype(np.uint8)


def official(
    task: Task, mean: tuple[float, ...] | None = None, std: tuple[float, ...] | None = None
) -> Preprocessing:
    """The preprocessing of a task's official evaluation; its output size depends on the picture.

    A bare backbone has no official preprocessing; it gets that of classification.

    Args:
        task: the task of the model.
        mean: normalisation on the 0..255 scale; None for ImageNet's.
        std: normalisation on the 0..255 scale; None for ImageNet's.
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
"""Share of the shorter side that the centre crop of classification keeps."""


def fixed_size(
    task: Task,
    size: Size,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> Preprocessing:
    """The official preprocessing of a task, changed to a fixed output size for artifacts.

    Classification keeps its resize and centre crop, with the same crop fraction. Semantic
    segmentation has one resize to `size`, which does not keep the aspect ratio, in place of two.
    Panoptic segmentation keeps the ratio and pads to `size` in place of a multiple of 32.

    Args:
        task: the task of the model.
        size: (height, width) of the network's input.
        mean: normalisation on the 0..255 scale; None for ImageNet's.
        std: normalisation on the 0..255 scale; None for ImageNet's.
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
