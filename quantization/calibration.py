"""The pictures that int8 ranges are taken from, and those that are kept out to judge the result."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lvt.data.images import list_images, read_image
from lvt.data.preprocessing import Preprocessing
from lvt.demo import DEMO_ALIAS, DEMO_SIZE, TRAINING_SEEDS
from lvt.demo.scenes import make_scene
from lvt.errors import UserError

WANTED = 32
"""Pictures that ranges are taken from; on the CamVid photos more change the SQNR by < 0.2 dB."""

UNSEEN = 8
"""Pictures that the result is judged on, if there are so many beside. Of fewer than
`WANTED + UNSEEN` pictures a fifth is kept out."""

FEWEST = 3
"""Different pictures without which nothing can be said: ranges of two and a judgement on one."""

_GRID = 16
_BLANK, _EQUAL = 0.02, 0.03
"""In units of the network's input, on a grid of 16 x 16 means: a level of 255 is some 0.017. Less
spread than that within a picture is none; less mean difference to another is the same picture."""


@dataclass(frozen=True)
class Calibration:
    """Preprocessed pictures.

    Attributes:
        images: (1, 3, H, W) each; ranges are taken from them.
        skipped: pictures that could not be read, a line each.
        names: of the images.
        unseen: as `images`, kept out of the ranges.
        unseen_names: of those.
        alike: what is wrong with pictures that add nothing, a line each.
    """

    images: list[NDArray[np.float32]]
    skipped: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unseen: tuple[NDArray[np.float32], ...] = ()
    unseen_names: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of the pictures."""
        notes = tuple(f"skipped: {line}" for line in self.skipped) + self.alike
        count = len(self.images) + len(self.unseen)
        if count < WANTED:
            notes += (
                f"only {count} calibration pictures: ranges may be too narrow for "
                f"others; give {WANTED} or more, of what the camera will see",
            )
        return notes


def read_calibration(
    folder: Path,
    preprocessing: Preprocessing,
    wanted: int = WANTED,
    *,
    without: Collection[str] = (),
) -> Calibration:
    """So many pictures of a folder, evenly spread over it, through a model's preprocessing.

    Args:
        folder: of pictures, or `demo`.
        preprocessing: the model's.
        wanted: how many.
        without: names of pictures that are kept out.

    Raises:
        UserError: no folder, or no picture in it that can be read.
    """
    images: list[NDArray[np.float32]] = []
    names: list[str] = []
    skipped: list[str] = []
    if folder == DEMO_ALIAS and not folder.exists():
        seeds = TRAINING_SEEDS[: wanted + len(without)]
        for seed in [seed for seed in seeds if f"scene {seed}" not in without][:wanted]:
            images.append(preprocessing(make_scene(seed, DEMO_SIZE).image))
            names.append(f"scene {seed}")
        return Calibration(images, names=tuple(names))
    paths = list_images(folder)
    known = {path: str(path.relative_to(folder)) for path in paths}
    for path in _spread([path for path in paths if known[path] not in without], wanted):
        if len(images) == wanted:
            break
        try:
            images.append(preprocessing(read_image(path)))
            names.append(known[path])
        except UserError as error:
            skipped.append(str(error))
    if not images:
        raise UserError(f"--calib {folder}: none of its pictures can be read: {skipped[0]}")
    return Calibration(images, tuple(skipped), tuple(names))


def _spread(paths: list[Path], wanted: int) -> Iterator[Path]:
    """Evenly spread ones first, then the others, should some not be readable."""
    step = max(1, len(paths) // wanted)
    yield from paths[::step]
    yield from (path for index, path in enumerate(paths) if index % step)


def keep_some_out(calibration: Calibration) -> Calibration:
    """The same pictures, of which the ranges will not see some; blank and equal ones left out.

    Raises:
        UserError: too few differ.
    """
    kept, alike = _different(calibration)
    if len(kept) < FEWEST:
        raise UserError(
            f"--calib: only {len(kept)} of {len(calibration.images)} pictures differ and are not "
            f"blank; at least {FEWEST} are needed, and {WANTED} wanted, of what the camera will see"
            + "".join(f"; {line}" for line in alike)
        )
    count = min(UNSEEN, max(1, len(kept) // 5))
    out = {kept[(2 * place + 1) * len(kept) // (2 * count)] for place in range(count)}
    return replace(
        calibration,
        images=[calibration.images[index] for index in kept if index not in out],
        names=tuple(calibration.names[index] for index in kept if index not in out),
        unseen=tuple(calibration.images[index] for index in sorted(out)),
        unseen_names=tuple(calibration.names[index] for index in sorted(out)),
        alike=alike,
    )


def _different(calibration: Calibration) -> tuple[list[int], tuple[str, ...]]:
    """Pictures that are neither blank nor as another, and a line on each kind of the others."""
    kept: list[int] = []
    grids: list[NDArray[np.float64]] = []
    blank: list[str] = []
    equal: list[str] = []
    for index, image in enumerate(calibration.images):
        grid, name = _means(image[0]), calibration.names[index]
        if grid.std(axis=(1, 2)).max() < _BLANK:
            blank.append(name)
        elif any(np.abs(grid - other).mean() < _EQUAL for other in grids):
            equal.append(name)
        else:
            kept.append(index)
            grids.append(grid)
    found = (("blank", blank), ("as another", equal))
    return kept, tuple(
        f"{len(names)} calibration pictures are {what}: {', '.join(names[:3])}"
        + (", ..." if len(names) > 3 else "")
        for what, names in found
        if names
    )


def _means(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """(3, H, W) as means of a grid of cells, at most 16 x 16."""
    _, height, width = image.shape
    rows = np.linspace(0, height, min(_GRID, height) + 1).astype(int)[:-1]
    columns = np.linspace(0, width, min(_GRID, width) + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), rows, 1), columns, 2)
    cells = np.outer(np.diff([*rows, height]), np.diff([*columns, width]))
    return sums / cells
