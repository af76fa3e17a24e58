"""Picture files of a user: reading one, and listing those of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lvt.data.decoding import PICTURE_SUFFIXES, PictureError, decode
from lvt.errors import UserError

MASK_FOLDERS = ("masks", "annotations")
"""Folders of masks next to `images/` in a data set for segmentation."""


def read_image(path: Path) -> NDArray[np.uint8]:
    """A picture file as upright RGB (H, W, 3) uint8; EXIF orientation is applied.

    Raises:
        UserError: there is no such file, or it cannot be decoded as a picture.
    """
    try:
        return decode(path)
    except FileNotFoundError:
        raise UserError(f"no image at {path}") from None
    except PictureError as error:
        raise UserError(f"cannot read {path} as an image: {error}") from error


def picture_files(folder: Path) -> list[Path]:
    """The picture files in an existing folder, sorted; if there are none, those in subfolders.

    Hidden files are skipped: macOS adds one (`._name`) for every picture on other file systems.
    """
    direct = sorted(path for path in folder.iterdir() if _has_picture_name(path))
    below = (path for path in folder.rglob("*") if not path.is_dir())
    return direct or sorted(path for path in below if _has_picture_name(path))


def _has_picture_name(path: Path) -> bool:
    """Whether the name is a picture's. The path may be a folder; reading it raises an error."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def list_images(folder: Path) -> list[Path]:
    """The same as `picture_files`, at least one.

    Raises:
        UserError: `folder` is not a folder, has no pictures, or is a labelled data set, whose masks
            would be read as pictures.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of images")
    paths = picture_files(folder)
    for masks in MASK_FOLDERS:
        if {"images", masks} <= {path.relative_to(folder).parts[0] for path in paths}:
            raise UserError(
                f"{folder} is a labelled data set, with images/ and {masks}/: give "
                f"{folder / 'images'}"
            )
    if not paths:
        raise UserError(f"no images ({', '.join(sorted(PICTURE_SUFFIXES))}) in {folder}")
    return paths


def evenly_spread(paths: Sequence[Path], count: int) -> list[Path]:
    """At most `count` of the paths, spread over all of them: a video's first frames are alike."""
    count = min(count, len(paths))
    return [paths[place * len(paths) // count] for place in range(count)]


def packaged_photos() -> list[Path]:
    """The public-domain photos that are part of the package."""
    return list_images(Path(__file__).parent / "photos")
