"""Picture files of a user: reading one, and listing those of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lvt.data.decoding import PICTURE_SUFFIXES, PictureError, decode
from lvt.errors import UserError


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
        UserError: `folder` is not a folder, or has no pictures.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of images")
    paths = picture_files(folder)
    if not paths:
        raise UserError(f"no images ({', '.join(sorted(PICTURE_SUFFIXES))}) in {folder}")
    return paths


def packaged_photos() -> list[Path]:
    """The public-domain photos that are part of the package."""
    return list_images(Path(__file__).parent / "photos")
