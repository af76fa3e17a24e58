"""Reads calibration pictures, and holds some of them out to accept or refuse the result.

Ranges are taken from most of the pictures. The others are not seen by the ranges or by
fine-tuning, so they show how the int8 model does on new pictures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lvt.data.images import evenly_spread, list_images, read_image
from lvt.data.preprocessing import Preprocessing
from lvt.demo import DEMO_ALIAS, DEMO_SIZE, TRAINING_SEEDS
from lvt.demo.scenes import make_scene
from lvt.errors import UserError

RANGE_IMAGES = 32
"""Number of pictures for the ranges. On CamVid, more pictures change the SQNR by < 0.2 dB."""

HELD_OUT_IMAGES = 8
"""Number of held-out pictures. With fewer than 40 pictures, one fifth of them is held out."""

MIN_IMAGES = 3
"""Least number of different pictures: two for the ranges, and one held out."""

_GRID = 16
_BLANK_STD, _DUPLICATE_DIFFERENCE = 0.02, 0.03
"""Limits on a grid of 16 x 16 cell means, in units of the network's input (one of 255 levels is
about 0.017). A picture with less spread is blank. Two pictures that differ less on average are
duplicates."""


@dataclass(frozen=True)
class Calibration:
    """Preprocessed calibration pictures.

    Attributes:
        images: those that ranges are taken from, (1, 3, H, W) each.
        skipped: a line for each picture that could not be read.
        names: of the images.
        held_out: those that were held out, (1, 3, H, W) each.
        held_out_names: of the pictures that were held out.
        rejected: a line on the blank pictures and one on the duplicates, if there are any.
    """

    images: list[NDArray[np.float32]]
    skipped: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    held_out: tuple[NDArray[np.float32], ...] = ()
    held_out_names: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines for the user: pictures that were left out, and too few pictures."""
        notes = tuple(f"skipped: {line}" for line in self.skipped) + self.rejected
        count = len(self.images) + len(self.held_out)
        if count < RANGE_IMAGES:
            notes += (
                f"only {count} calibration pictures: ranges may be too narrow for other pictures; "
                f"use {RANGE_IMAGES} or more that show what the camera will see",
            )
        return notes


def read_calibration(
    folder: Path,
    preprocessing: Preprocessing,
    count: int = RANGE_IMAGES,
    *,
    exclude: Collection[str] = (),
) -> Calibration:
    """Reads pictures, spread evenly over a folder, through a model's preprocessing.

    Args:
        folder: of pictures, or `demo` for generated scenes.
        preprocessing: the model's.
        count: largest number of pictures.
        exclude: names of pictures to leave out.

    Raises:
        UserError: there is no such folder, or no picture in it that can be read.
    """
    if folder == DEMO_ALIAS and not folder.exists():
        return _demo_scenes(preprocessing, count, exclude)
    names = {path: str(path.relative_to(folder)) for path in list_images(folder)}
    images: dict[str, NDArray[np.float32]] = {}
    skipped: list[str] = []
    for path in _evenly_spread([path for path in names if names[path] not in exclude], count):
        if len(images) == count:
            break
        try:
            images[names[path]] = preprocessing(read_image(path))
        except UserError as error:
            skipped.append(str(error))
    if not images:
        raise UserError(f"--calib {folder}: none of its pictures can be read: {skipped[0]}")
    return Calibration(list(images.values()), tuple(skipped), tuple(images))


def _demo_scenes(preprocessing: Preprocessing, count: int, exclude: Collection[str]) -> Calibration:
    """Generated scenes that the demonstration model was trained on, so none of the evaluation."""
    seeds = {f"scene {seed}": seed for seed in TRAINING_SEEDS[: count + len(exclude)]}
    names = [name for name in seeds if name not in exclude][:count]
    images = [preprocessing(make_scene(seeds[name], DEMO_SIZE).image) for name in names]
    return Calibration(images, names=tuple(names))


def _evenly_spread(paths: list[Path], count: int) -> Iterator[Path]:
    """Evenly spread paths first; then the others, which replace those that cannot be read."""
    first = evenly_spread(paths, count)
    yield from first
    yield from (path for path in paths if path not in set(first))


def hold_out(calibration: Calibration) -> Calibration:
    """The same pictures without blank ones and duplicates, some of them held out.

    Raises:
        UserError: too few pictures are left.
    """
    kept, rejected = _distinct(calibration)
    if len(kept) < MIN_IMAGES:
        raise UserError(
            f"--calib: only {len(kept)} of {len(calibration.images)} pictures differ and are not "
            f"blank; use at least {MIN_IMAGES}, better {RANGE_IMAGES + HELD_OUT_IMAGES}, that show "
            "what the camera will see" + "".join(f"; {line}" for line in rejected)
        )
    count = min(HELD_OUT_IMAGES, max(1, len(kept) // 5))
    out = {kept[(2 * place + 1) * len(kept) // (2 * count)] for place in range(count)}
    return replace(
        calibration,
        images=[calibration.images[index] for index in kept if index not in out],
        names=tuple(calibration.names[index] for index in kept if index not in out),
        held_out=tuple(calibration.images[index] for index in sorted(out)),
        held_out_names=tuple(calibration.names[index] for index in sorted(out)),
        rejected=rejected,
    )


def _distinct(calibration: Calibration) -> tuple[list[int], tuple[str, ...]]:
    """Indices of the pictures that are neither blank nor duplicates, and a line on each kind."""
    kept: list[int] = []
    kept_grids: list[NDArray[np.float64]] = []
    blank: list[str] = []
    duplicates: list[str] = []
    for index, (name, image) in enumerate(zip(calibration.names, calibration.images, strict=True)):
        grid = _cell_means(image[0])
        if grid.std(axis=(1, 2)).max() < _BLANK_STD:
            blank.append(name)
        elif any(np.abs(grid - other).mean() < _DUPLICATE_DIFFERENCE for other in kept_grids):
            duplicates.append(name)
        else:
            kept.append(index)
            kept_grids.append(grid)
    kinds = (("blank", blank), ("duplicates of others", duplicates))
    return kept, tuple(
        f"{len(names)} calibration pictures are {kind}: {', '.join(names[:3])}"
        + (", ..." if len(names) > 3 else "")
        for kind, names in kinds
        if names
    )


def _cell_means(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """(3, H, W) as the means of a grid of at most 16 x 16 cells."""
    _, height, width = image.shape
    rows = np.linspace(0, height, min(_GRID, height) + 1).astype(int)[:-1]
    columns = np.linspace(0, width, min(_GRID, width) + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), rows, 1), columns, 2)
    areas = np.outer(np.diff([*rows, height]), np.diff([*columns, width]))
    return sums / areas
