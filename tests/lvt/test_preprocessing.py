"""Preprocessing: values, order of steps, geometry, golden tensor, errors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lvt.data.images import list_images, packaged_photos, read_image
from lvt.data.preprocessing import Preprocessing, fixed_size, golden_picture, official
from lvt.data.preprocessing_steps import AlignUp, CenterCrop, FitWithin, ShorterSide, Stretch
from lvt.data.resize import resize_uint8
from lvt.errors import UserError

SIDE = st.integers(1, 120)


@settings(max_examples=150, deadline=None)
@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 2**32 - 1))
def test_bilinear_is_opencv_to_the_bit(h: int, w: int, th: int, tw: int, seed: int) -> None:
    """The official loader resizes with OpenCV; one count of difference moves labels at borders."""
    image = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
    expected = cv2.resize(image, (tw, th), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(resize_uint8(image, (th, tw), "opencv_bilinear"), expected)


@pytest.mark.parametrize(
    ("source", "target"), [((720, 1280), (512, 512)), ((480, 640), (352, 480))]
)
def test_bilinear_is_opencv_at_camera_sizes(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*source, 3), dtype=np.uint8)
    expected = cv2.resize(image, target[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(resize_uint8(image, target, "opencv_bilinear"), expected)


def shape_after(spec: Preprocessing, height: int, width: int) -> tuple[int, ...]:
    return spec(np.zeros((height, width, 3), np.uint8)).shape[2:]


@pytest.mark.parametrize(
    ("original", "expected"), [((480, 640), (512, 704)), ((375, 1242), (512, 1696))], ids=str
)
def test_official_semantic_sizes(original: tuple[int, int], expected: tuple[int, int]) -> None:
    """Keep-ratio within (2048, 512), then each side up to a multiple of 32."""
    assert shape_after(official("semantic"), *original) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.integers(20, 700), st.integers(20, 700), st.sampled_from([(224, 224), (64, 96), (33, 47)])
)
def test_fixed_sizes_are_fixed(height: int, width: int, size: tuple[int, int]) -> None:
    """Static shapes: whatever the picture, the artifact's input size comes out."""
    assert shape_after(fixed_size("classification", size), height, width) == size
    assert shape_after(fixed_size("semantic", size), height, width) == size


def test_classification_at_its_official_size_is_the_official_transform() -> None:
    """For classification the phone's fixed size costs nothing."""
    assert fixed_size("classification", (224, 224)) == official("classification")


def test_own_mean_and_std_are_used() -> None:
    white = np.full((40, 40, 3), 255, np.uint8)
    spec = fixed_size("semantic", (32, 32), mean=(5.0, 5.0, 5.0), std=(10.0, 50.0, 125.0))
    assert spec(white)[0, :, 0, 0].tolist() == [25.0, 5.0, 2.0]
    other = fixed_size("classification", (32, 32), mean=(5.0, 5.0, 5.0), std=(10.0, 50.0, 125.0))
    np.testing.assert_allclose(other(white)[0, :, 0, 0], [25.0, 5.0, 2.0], rtol=1e-5)


@pytest.mark.parametrize("task", ["classification", "semantic"])
def test_manifest_round_trip(task: str) -> None:
    spec = fixed_size(task, (64, 96))  # type: ignore[arg-type]
    assert Preprocessing.from_dict(spec.to_dict()) == spec


def test_every_step_survives_the_manifest() -> None:
    spec = Preprocessing(
        (
            FitWithin(90, 70, "opencv_bilinear"),
            AlignUp(8, "pillow_bilinear"),
            Stretch((50, 60), "pillow_bicubic"),
            ShorterSide(40, "pillow_bilinear"),
            CenterCrop((32, 33)),
            *fixed_size("semantic", (9, 9)).steps[1:],
        )
    )
    assert Preprocessing.from_dict(spec.to_dict()) == spec


def test_golden_hash_is_what_it_was() -> None:
    """Pins the bytes: a phone's implementation is tied to this very hash."""
    assert golden_picture().shape == (97, 131, 3)
    assert golden_picture()[2, 5].tolist() == [71, 100, 129]
    spec = fixed_size("semantic", (352, 480))
    assert spec.golden_sha256() == (
        "bf37021223e1531fbff16ec7203969f1209722f9f05eb1190a95cb4f2b5908fe"
    )


def test_another_golden_tensor_is_refused() -> None:
    """An artifact made by code that resized otherwise must not run on today's pixels."""
    data = fixed_size("semantic", (64, 64)).to_dict()
    data["steps"][1]["mean"] = [0.0, 0.0, 0.0]
    with pytest.raises(UserError, match="golden tensor"):
        Preprocessing.from_dict(data)


@pytest.mark.parametrize("breakage", ["op", "filter", "missing"])
def test_unknown_steps_are_refused(breakage: str) -> None:
    data = fixed_size("semantic", (64, 64)).to_dict()
    if breakage == "op":
        data["steps"][0]["op"] = "rotate"
    elif breakage == "filter":
        data["steps"][0]["filter"] = "nearest"
    else:
        del data["steps"]
    with pytest.raises(UserError):
        Preprocessing.from_dict(data)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    """Phones store portrait pictures sideways; a model that sees them so is wrong for no reason."""
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate 90 degrees clockwise to view
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path, exif=exif)
    upright = read_image(path)
    assert upright.shape == (20, 10, 3)
    assert upright[0].min() == 255
    assert upright[-1].max() == 0


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1"])
def test_other_colour_modes_become_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("image.tiff" if mode == "CMYK" else "image.png")
    Image.new("RGB", (6, 4), (200, 200, 200)).convert(mode).save(path)
    assert read_image(path).shape == (4, 6, 3)


def test_unreadable_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image at"):
        read_image(tmp_path / "absent.jpg")
    for name, content in (("empty.jpg", b""), ("text.png", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"cannot read .*{name}"):
            read_image(tmp_path / name)
    whole = packaged_photos()[0].read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cannot read .*cut\.jpg"):
        read_image(tmp_path / "cut.jpg")


def test_image_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a folder"):
        list_images(tmp_path / "absent")
    with pytest.raises(UserError, match="no images"):
        list_images(tmp_path)
    (tmp_path / "b.PNG").touch()
    (tmp_path / "a.jpg").touch()
    (tmp_path / "notes.txt").touch()
    assert [p.name for p in list_images(tmp_path)] == ["a.jpg", "b.PNG"]


def test_packaged_photos_are_readable() -> None:
    photos = packaged_photos()
    assert len(photos) >= 4
    assert all(min(read_image(photo).shape[:2]) >= 224 for photo in photos)
