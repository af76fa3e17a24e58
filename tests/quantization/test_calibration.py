"""Calibration pictures: any folder of them, bad ones named, too few told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from lvt.data.preprocessing import fixed_size
from lvt.errors import UserError
from quantization.calibration import WANTED, read_calibration
from tests.helpers.fuzz import damaged_bytes, fuzzing

PREPROCESSING = fixed_size("semantic", (32, 48), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def picture(path: Path, value: int) -> None:
    Image.fromarray(np.full((40, 60, 3), value, np.uint8)).save(path)


def test_pictures_go_through_the_preprocessing(tmp_path: Path) -> None:
    for index in range(WANTED):
        picture(tmp_path / f"{index:03}.png", index)
    found = read_calibration(tmp_path, PREPROCESSING)
    assert found.warnings == ()
    assert [image.shape for image in found.images] == [(1, 3, 32, 48)] * WANTED
    expected = [float(PREPROCESSING(np.full((40, 60, 3), i, np.uint8))[0, 0, 0, 0]) for i in (0, 7)]
    assert [float(found.images[i].max()) for i in (0, 7)] == expected


def test_many_pictures_are_taken_evenly(tmp_path: Path) -> None:
    """The first ones of a video would all show the same street."""
    for index in range(3 * WANTED):
        picture(tmp_path / f"{index:03}.png", index)
    images = read_calibration(tmp_path, PREPROCESSING).images
    assert len(images) == WANTED
    steps = np.diff([float(image.max()) for image in images])
    assert np.allclose(steps, steps[0])


def test_bad_pictures_are_named_and_replaced(tmp_path: Path) -> None:
    for index in range(WANTED + 3):
        picture(tmp_path / f"{index:03}.png", index)
    (tmp_path / "000.png").write_bytes(b"no picture")
    (tmp_path / "005.png").write_bytes(b"")
    found = read_calibration(tmp_path, PREPROCESSING)
    assert len(found.images) == WANTED
    assert ["000.png" in line or "005.png" in line for line in found.skipped] == [True, True]
    assert len(found.warnings) == 2


def test_too_few_are_told_with_the_number_wanted(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", 3)
    (warning,) = read_calibration(tmp_path, PREPROCESSING).warnings
    assert "only 1 " in warning
    assert str(WANTED) in warning


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
    found = read_calibration(Path("demo"), PREPROCESSING)
    assert len(found.images) == WANTED
    assert not found.warnings


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
        found = read_calibration(tmp_path, PREPROCESSING)
        assert len(found.images) + len(found.skipped) == 4
        assert all(np.isfinite(image).all() for image in found.images)

    check()
