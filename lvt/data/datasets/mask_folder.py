"""Data set for semantic segmentation: pictures, and a mask of class indices for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from lvt.data.datasets.folders import MAX_LISTED, SPLIT_NAMES, existing_folder, split_folder
from lvt.data.datasets.samples import MaskSample
from lvt.data.decoding import PICTURE_SUFFIXES, PictureError, open_picture
from lvt.data.images import MASK_FOLDERS, list_images, read_image
from lvt.errors import UserError


class MaskFolder:
    """Pictures in `images/`, and masks (.png) with the same names in another folder.

    In `masks/` (as in CamVid) a value is a class, and values beyond the classes are void. In
    `annotations/` (as in ADE20K) 0 is void, and classes count from 1. Both folders may have the
    same subfolders, such as cities, or splits of which `split` chooses one. A split may also be a
    folder that contains both folders.

    Args:
        folder: the folder of the data set.
        classes: number of classes of the model.
        split: name of the split.

    Attributes:
        values: number of pixels of each mask value, in the masks that have been read.
        first: mask value of class 0.

    Raises:
        UserError: a folder or a mask is missing, or the split has to be chosen.
    """

    def __init__(self, folder: Path, classes: int, split: str | None = None):
        self._classes = classes
        root = existing_folder(folder)
        if split is not None and not (root / "images").is_dir():
            root = split_folder(root, split)
            split = None
        images = root / "images"
        styles = [name for name in MASK_FOLDERS if (root / name).is_dir()]
        if not images.is_dir() or not styles:
            missing = "images/" if not images.is_dir() else "masks/ (or annotations/, ADE20K)"
            raise UserError(f"{root} must hold images/ and masks/: it has no {missing}")
        self.first = 1 if styles[0] == "annotations" else 0
        masks = root / styles[0]
        if split is not None:
            images, masks = split_folder(images, split), split_folder(masks, split)
        self._files = _picture_mask_pairs(images, masks)
        self.values: Counter[int] = Counter()

    @property
    def notes(self) -> tuple[str, ...]:
        """The share of void in the masks read so far, and a hint if they seem black and white."""
        last = self.first + self._classes - 1
        void = {v: n for v, n in self.values.items() if not self.first <= v <= last}
        if not void:
            return ()
        share = sum(void.values()) / sum(self.values.values())
        most_frequent = sorted(void, key=lambda value: -void[value])[:MAX_LISTED]
        listed = ", ".join(map(str, most_frequent)) + (", ..." if len(void) > MAX_LISTED else "")
        notes = [f"void: {share:.1%} of the pixels (mask values {listed})"]
        if set(self.values) <= {0, 255} and self._classes > 1:
            notes.append(
                "the masks hold nothing but 0 and 255, and 255 is read as void: write the classes "
                "of black and white masks as numbers from 0 on"
            )
        return tuple(notes)

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[MaskSample]:
        for path, mask in self._files:
            image = read_image(path)
            values = _read_mask(mask)
            if values.shape != image.shape[:2]:
                raise UserError(f"{mask} and {path} differ in size")
            unique, counts = np.unique(values, return_counts=True)
            self.values.update(dict(zip(unique.tolist(), counts.tolist(), strict=True)))
            labels = values - self.first
            labels[(labels < 0) | (labels >= self._classes)] = -1
            yield MaskSample(image, labels)


def _picture_mask_pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Each picture with its mask.

    Raises:
        UserError: there are splits to choose from, a mask is missing, or two pictures share one.
    """
    pictures = list_images(images)
    splits = {path.relative_to(images).parts[0] for path in pictures if path.parent != images}
    if len(splits) > 1 and all(name.lower() in SPLIT_NAMES for name in splits):
        raise UserError(f"{images} holds {' and '.join(sorted(splits))}: choose with --split")
    pairs = [(path, _mask_of(path, images, masks)) for path in pictures]
    missing = [mask for _, mask in pairs if not mask.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"no mask {missing[0]}{more}")
    picture_of: dict[Path, Path] = {}
    for path, mask in pairs:
        if mask in picture_of:
            raise UserError(
                f"{picture_of[mask].name} and {path.name} have one mask, {mask.name}: remove one"
            )
        picture_of[mask] = path
    return pairs


def _mask_of(picture: Path, images: Path, masks: Path) -> Path:
    """The mask at the same place below `masks` as the picture below `images`, or directly in it."""
    name = f"{picture.stem}.png"
    same_place = masks / picture.relative_to(images).with_name(name)
    if same_place.is_file():
        return same_place
    if picture.parent == images:  # perhaps only the masks are in a subfolder
        return _innermost_folder(masks) / name
    direct = masks / name
    return direct if direct.is_file() else same_place


def _innermost_folder(folder: Path) -> Path:
    """Follows subfolders as long as a folder contains one subfolder and nothing else."""
    while folder.is_dir():
        content = [p for p in folder.iterdir() if p.is_dir() or _is_picture(p)]
        if len(content) != 1 or not content[0].is_dir():
            break
        folder = content[0]
    return folder


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _read_mask(path: Path) -> NDArray[np.int64]:
    """The stored values (H, W) of a mask, upright by EXIF; palette indices are not looked up.

    Raises:
        UserError: the file is not a picture, or is a colour picture.
    """
    try:
        with open_picture(path) as mask:
            values = np.asarray(ImageOps.exif_transpose(mask)).astype(np.int64)
    except (FileNotFoundError, PictureError) as error:
        raise UserError(f"cannot read {path} as a mask: {error}") from error
    if values.ndim != 2:
        raise UserError(f"{path} is a colour picture, not a mask of class indices")
    return values
