"""`MaskFolder`: layouts, splits, void values, notes and errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lvt.data.datasets.mask_folder import MaskFolder
from lvt.errors import UserError
from tests.lvt.pictures import GREY, MASK, PHOTO, save


def pair(folder: Path, name: str, sub: str = "", mask: np.ndarray = MASK) -> None:
    save(folder / "images" / sub / f"{name}.png", PHOTO)
    save(folder / "masks" / sub / f"{name}.png", mask)


def labels(folder: Path, **options: Any) -> list[np.ndarray]:
    return [sample.labels for sample in MaskFolder(folder, 3, **options)]


def test_masks_camvid_style(tmp_path: Path) -> None:
    """A value is a class; what lies beyond the classes is void."""
    save(tmp_path / "images" / "a.png", GREY)
    values = np.array([[0, 1, 2, 11, 255, 0]] * 4, np.uint8)
    save(tmp_path / "masks" / "a.png", values)
    sample = next(iter(MaskFolder(tmp_path, classes=3)))
    assert sample.labels[0].tolist() == [0, 1, 2, -1, -1, 0]


def test_masks_ade20k_style(tmp_path: Path) -> None:
    """0 is 'other', classes count from 1; read as CamVid's, every label would be off by one."""
    save(tmp_path / "images" / "validation" / "a.png", GREY)
    values = np.array([[0, 1, 2, 3, 4, 150]] * 4, np.uint8)
    save(tmp_path / "annotations" / "validation" / "a.png", values)
    sample = next(iter(MaskFolder(tmp_path, classes=3)))
    assert sample.labels[0].tolist() == [-1, 0, 1, 2, -1, -1]


def test_palette_masks_keep_their_indices(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", GREY)
    mask = Image.fromarray(np.array([[0, 1, 2, 2, 1, 0]] * 4, np.uint8), mode="P")
    mask.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255] + [0] * 759)
    (tmp_path / "masks").mkdir()
    mask.save(tmp_path / "masks" / "a.png")
    sample = next(iter(MaskFolder(tmp_path, classes=3)))
    assert sample.labels[0].tolist() == [0, 1, 2, 2, 1, 0]


def test_mask_errors(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", GREY)
    with pytest.raises(UserError, match="it has no masks/"):
        MaskFolder(tmp_path, 3)
    (tmp_path / "masks").mkdir()
    with pytest.raises(UserError, match="no mask"):
        MaskFolder(tmp_path, 3)
    save(tmp_path / "masks" / "a.png", GREY)
    with pytest.raises(UserError, match="colour picture"):
        next(iter(MaskFolder(tmp_path, 3)))
    save(tmp_path / "masks" / "a.png", np.zeros((3, 3), np.uint8))
    with pytest.raises(UserError, match="differ in size"):
        next(iter(MaskFolder(tmp_path, 3)))


def test_masks_in_folders_of_cities(tmp_path: Path) -> None:
    pair(tmp_path, "a", "bern")
    pair(tmp_path, "a", "basel", 2 - MASK)
    first, second = labels(tmp_path)
    np.testing.assert_array_equal(first, 2 - MASK)
    np.testing.assert_array_equal(second, MASK)


@pytest.mark.parametrize("above", [False, True])
def test_a_split_is_chosen(above: bool, tmp_path: Path) -> None:
    for split, mask in (("training", MASK), ("validation", 2 - MASK)):
        pair(tmp_path / split if above else tmp_path, "a", "" if above else split, mask)
    np.testing.assert_array_equal(labels(tmp_path, split="val")[0], 2 - MASK)
    np.testing.assert_array_equal(labels(tmp_path, split="training")[0], MASK)
    with pytest.raises(UserError, match=r"--split test: .* holds training, validation"):
        labels(tmp_path, split="test")
    if not above:
        with pytest.raises(UserError, match="holds training and validation: choose with --split"):
            labels(tmp_path)


def test_exif_orientation_applies_to_masks_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 3
    save(tmp_path / "images" / "a.png", PHOTO[::-1, ::-1], exif=exif)
    save(tmp_path / "masks" / "a.png", MASK[::-1, ::-1], exif=exif)
    (sample,) = MaskFolder(tmp_path, 3)
    np.testing.assert_array_equal(sample.image, PHOTO)
    np.testing.assert_array_equal(sample.labels, MASK)


def test_two_pictures_with_one_mask_are_an_error(tmp_path: Path) -> None:
    pair(tmp_path, "a")
    save(tmp_path / "images" / "a.jpg", PHOTO)
    with pytest.raises(UserError, match=r"a\.jpg and a\.png have one mask, a\.png"):
        MaskFolder(tmp_path, 3)


def test_missing_masks_are_reported_at_once(tmp_path: Path) -> None:
    for name in "abc":
        pair(tmp_path, name)
    for name in "bc":
        (tmp_path / "masks" / f"{name}.png").unlink()
    with pytest.raises(UserError, match=r"no mask .*b\.png and 1 more"):
        MaskFolder(tmp_path, 3)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (MASK, []),
        (np.where(MASK == 2, 9, MASK), [r"^void: 33\.3% of the pixels \(mask values 9\)$"]),
        (np.where(MASK == 2, 255, 0), [r"^void: 33\.3%", "nothing but 0 and 255"]),
    ],
)
def test_notes_on_void_values(mask: np.ndarray, expected: list[str], tmp_path: Path) -> None:
    pair(tmp_path, "a", mask=mask)
    data = MaskFolder(tmp_path, 3)
    list(data)
    assert len(data.notes) == len(expected)
    for note, pattern in zip(data.notes, expected, strict=True):
        assert re.search(pattern, note)
