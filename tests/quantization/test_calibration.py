"""Calibration pictures: any folder, bad files are named, some pictures are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from lvt.data.preprocessing import fixed_size
from lvt.errors import UserError
from quantization.calibration import (
    HELD_OUT_IMAGES,
    MIN_IMAGES,
    RANGE_IMAGES,
    hold_out,
    read_calibration,
)
from tests.helpers.fuzz import damaged_bytes, fuzzing

PREPROCESSING = fixed_size("semantic", (32, 48), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
DEFAULT_PREPROCESSING = fixed_size("semantic", (32, 48))
COUNT = RANGE_IMAGES + HELD_OUT_IMAGES


def picture(path: Path, value: int) -> None:
    Image.fromarray(np.full((40, 60, 3), value, np.uint8)).save(path)


def test_pictures_go_through_the_preprocessing(tmp_path: Path) -> None:
    for index in range(RANGE_IMAGES):
        picture(tmp_path / f"{index:03}.png", index)
    calibration = read_calibration(tmp_path, PREPROCESSING)
    assert calibration.warnings == ()
    assert [image.shape for image in calibration.images] == [(1, 3, 32, 48)] * RANGE_IMAGES
    expected = [float(PREPROCESSING(np.full((40, 60, 3), i, np.uint8))[0, 0, 0, 0]) for i in (0, 7)]
    assert [float(calibration.images[i].max()) for i in (0, 7)] == expected


def test_many_pictures_are_taken_evenly(tmp_path: Path) -> None:
    """The first ones of a video would all show the same street."""
    for index in range(3 * RANGE_IMAGES):
        picture(tmp_path / f"{index:03}.png", index)
    images = read_calibration(tmp_path, PREPROCESSING).images
    assert len(images) == RANGE_IMAGES
    steps = np.diff([float(image.max()) for image in images])
    assert np.allclose(steps, steps[0])


@pytest.mark.parametrize("count", [RANGE_IMAGES + 1, 2 * RANGE_IMAGES - 1, 5 * RANGE_IMAGES + 7])
def test_the_end_of_a_folder_is_represented(count: int, tmp_path: Path) -> None:
    """Also with fewer than twice as many pictures as needed: a video has a last scene."""
    for index in range(count):
        picture(tmp_path / f"{index:03}.png", index)
    names = read_calibration(tmp_path, PREPROCESSING).names
    assert len(names) == RANGE_IMAGES
    places = np.array([int(name[:3]) for name in names])
    assert places.max() >= count - -(-count // RANGE_IMAGES)
    assert np.diff(places).max() <= -(-count // RANGE_IMAGES)


def test_masks_are_not_calibration_pictures(tmp_path: Path) -> None:
    """A data set instead of its pictures would be calibrated on masks, without a word."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        picture(tmp_path / folder / "a.png", 100)
    with pytest.raises(
        UserError, match=r"labelled data set, with images/ and masks/: give .*images"
    ):
        read_calibration(tmp_path, PREPROCESSING)
    assert len(read_calibration(tmp_path / "images", PREPROCESSING).images) == 1


def test_bad_pictures_are_named_and_replaced(tmp_path: Path) -> None:
    for index in range(RANGE_IMAGES + 3):
        picture(tmp_path / f"{index:03}.png", index)
    (tmp_path / "000.png").write_bytes(b"no picture")
    (tmp_path / "005.png").write_bytes(b"")
    calibration = read_calibration(tmp_path, PREPROCESSING)
    assert len(calibration.images) == RANGE_IMAGES
    assert ["000.png" in line or "005.png" in line for line in calibration.skipped] == [True, True]
    assert len(calibration.warnings) == 2


def test_too_few_pictures_are_a_warning_with_the_number_needed(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", 3)
    (warning,) = read_calibration(tmp_path, PREPROCESSING).warnings
    assert "only 1 " in warning
    assert str(RANGE_IMAGES) in warning


@pytest.mark.parametrize("content", [None, b"", b"text"])
def test_a_folder_without_pictures_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"no images|none of its pictures"):
        read_calibration(tmp_path, PREPROCESSING)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a folder"):
        read_calibration(tmp_path / "absent", PREPROCESSING)


def test_generated_scenes_are_not_those_of_the_evaluation() -> None:
    calibration = read_calibration(Path("demo"), PREPROCESSING)
    assert len(calibration.images) == RANGE_IMAGES
    assert not calibration.warnings


@pytest.mark.filterwarnings("ignore")
def test_damaged_pictures_are_named_or_used(tmp_path: Path) -> None:
    """One bad photo among hundreds must neither stop the work nor get into the ranges unseen."""
    picture(tmp_path / "good.png", 90)
    whole = (tmp_path / "good.png").read_bytes()
    thin = tmp_path / "thin.png"
    Image.fromarray(np.zeros((1, 60_000, 3), np.uint8)).save(thin)
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere.png")
    skipped = read_calibration(tmp_path, fixed_size("classification", (224, 224))).skipped
    assert len(skipped) == 4
    thin.unlink()

    @fuzzing
    @given(damaged_bytes(whole))
    def check(content: bytes) -> None:
        (tmp_path / "empty.png").write_bytes(content)
        calibration = read_calibration(tmp_path, PREPROCESSING)
        assert len(calibration.images) + len(calibration.skipped) == 4
        assert all(np.isfinite(image).all() for image in calibration.images)

    check()


def photos(folder: Path, count: int) -> Path:
    """Different pictures."""
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 255, (6, 8, 3)).astype(np.uint8)
        picture = Image.fromarray(pixels).resize((64, 48), Image.Resampling.BILINEAR)
        picture.save(folder / f"{index:03}.png")
    return folder


@pytest.mark.parametrize(
    ("count", "used", "held_out"),
    [
        (100, RANGE_IMAGES, HELD_OUT_IMAGES),
        (40, RANGE_IMAGES, HELD_OUT_IMAGES),
        (20, 16, 4),
        (4, 3, 1),
        (MIN_IMAGES, 2, 1),
    ],
)
def test_held_out_pictures_give_no_ranges(
    count: int, used: int, held_out: int, tmp_path: Path
) -> None:
    read = read_calibration(photos(tmp_path, count), DEFAULT_PREPROCESSING, COUNT)
    calibration = hold_out(read)
    assert (len(calibration.images), len(calibration.held_out)) == (used, held_out)
    assert not set(calibration.names) & set(calibration.held_out_names)
    assert set(calibration.names) | set(calibration.held_out_names) == set(read.names)
    for image in calibration.held_out:
        assert not any(np.array_equal(image, other) for other in calibration.images)


def test_fine_tuning_does_not_use_held_out_pictures(tmp_path: Path) -> None:
    calibration = hold_out(read_calibration(photos(tmp_path, 50), DEFAULT_PREPROCESSING, COUNT))
    trained = read_calibration(
        tmp_path, DEFAULT_PREPROCESSING, 50, exclude=calibration.held_out_names
    )
    assert len(trained.images) == 50 - HELD_OUT_IMAGES
    scenes = hold_out(read_calibration(Path("demo"), DEFAULT_PREPROCESSING, 10))
    excluded = scenes.held_out_names
    others = read_calibration(Path("demo"), DEFAULT_PREPROCESSING, 10, exclude=excluded)
    assert len(others.images) == 10
    assert not set(others.names) & set(excluded)


def test_blank_pictures_and_duplicates_are_named_and_left_out(tmp_path: Path) -> None:
    photos(tmp_path, 6)
    Image.new("RGB", (64, 48)).save(tmp_path / "black.png")
    twin = np.asarray(Image.open(tmp_path / "002.png")).astype(int)
    Image.fromarray(np.clip(twin + 1, 0, 255).astype(np.uint8)).save(tmp_path / "twin.png")
    calibration = hold_out(read_calibration(tmp_path, DEFAULT_PREPROCESSING, COUNT))
    assert len(calibration.images) + len(calibration.held_out) == 6
    assert calibration.rejected == (
        "1 calibration pictures are blank: black.png",
        "1 calibration pictures are duplicates of others: twin.png",
    )
    assert set(calibration.rejected) < set(calibration.warnings)


def test_too_few_distinct_pictures_are_an_error(tmp_path: Path) -> None:
    for index in range(40):
        Image.new("RGB", (64, 48), (index * 6,) * 3).save(tmp_path / f"{index}.png")
    photos(tmp_path, 2)
    read = read_calibration(tmp_path, DEFAULT_PREPROCESSING, COUNT + 2)
    with pytest.raises(UserError, match=r"only 2 of 42 pictures differ.*blank: 0\.png, 1\.png"):
        hold_out(read)
