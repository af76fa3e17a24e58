"""The pictures that int8 ranges are taken from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lvt.demo import DEMO_SIZE, TRAINING_SEEDS
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from lvt.preprocessing import Preprocessing, list_images, read_image

WANTED = 32
"""Pictures that ranges are taken from; on the CamVid photos more change the SQNR by < 0.2 dB."""

DEMO = Path("demo")
"""As a calibration folder, this name means generated scenes that training may see."""


@dataclass(frozen=True)
class Calibration:
    """Preprocessed pictures.

    Attributes:
        images: (1, 3, H, W) each.
        skipped: pictures that could not be read, a line each.
    """

    images: list[NDArray[np.float32]]
    skipped: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of the pictures."""
        notes = tuple(f"skipped: {line}" for line in self.skipped)
        if len(self.images) < WANTED:
            notes += (
                f"only {len(self.images)} calibration pictures: ranges may be too narrow for "
                f"others; give {WANTED} or more, of what the camera will see",
            )
        return notes


def read_calibration(
    folder: Path, preprocessing: Preprocessing, wanted: int = WANTED
) -> Calibration:
    """So many pictures of a folder, evenly spread over it, through a model's preprocessing.

    Raises:
        UserError: no folder, or no picture in it that can be read.
    """
    images: list[NDArray[np.float32]] = []
    skipped: list[str] = []
    if folder == DEMO and not folder.exists():
        for seed in TRAINING_SEEDS[:wanted]:
            images.append(preprocessing(make_scene(seed, DEMO_SIZE).image))
        return Calibration(images)
    for path in _spread(list_images(folder), wanted):
        if len(images) == wanted:
            break
        try:
            images.append(preprocessing(read_image(path)))
        except UserError as error:
            skipped.append(str(error))
    if not images:
        raise UserError(f"--calib {folder}: none of its pictures can be read: {skipped[0]}")
    return Calibration(images, tuple(skipped))


def _spread(paths: list[Path], wanted: int) -> Iterator[Path]:
    """Evenly spread ones first, then the others, should some not be readable."""
    step = max(1, len(paths) // wanted)
    yield from paths[::step]
    yield from (path for index, path in enumerate(paths) if index % step)
