"""Damaged pictures, masks and JSON files: a result or one error line; no other programs start."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from lvt.data.datasets.coco_panoptic import CocoPanoptic
from lvt.data.datasets.image_folder import ImageFolder
from lvt.data.datasets.mask_folder import MaskFolder
from lvt.data.decoding import BASE_FORMATS
from lvt.data.images import read_image
from lvt.data.preprocessing import fixed_size
from lvt.demo.scenes import write_coco_panoptic
from lvt.errors import UserError
from tests.helpers.fuzz import damaged_bytes, damaged_json, fuzzing, reads_or_refuses, write_json


def encoded(form: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    ramp = np.indices((20, 30)).sum(0).astype(np.uint8) * 5
    exif = Image.Exif()
    exif[0x112] = 6
    if form in ("JPEG", "PNG", "WEBP", "TIFF"):
        options = {"exif": exif} | options
    buffer = io.BytesIO()
    (picture or Image.fromarray(ramp).convert("RGB")).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", BASE_FORMATS)
def test_damaged_pictures(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a picture ü.jpg"
    whole = encoded(form)
    path.write_bytes(whole)
    rotated = form in ("JPEG", "PNG", "WEBP", "TIFF")
    assert read_image(path).shape == ((30, 20, 3) if rotated else (20, 30, 3))

    @fuzzing
    @given(damaged_bytes(whole))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        if reads_or_refuses(lambda: read_image(path)):
            image = read_image(path)
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.shape[2] == 3

    check()


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("I;16", 0x8040, (0x80, 0x80, 0x80)),
        ("LA", (10, 128), (10, 10, 10)),
        ("RGBA", (1, 2, 3, 0), (1, 2, 3)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("1", 1, (255, 255, 255)),
    ],
)
def test_other_kinds_of_pixels(
    mode: str, value: Any, expected: tuple[int, ...], tmp_path: Path
) -> None:
    """Pillow turns 16-bit grey into white: all above 255 is clipped, and nothing says so."""
    path = tmp_path / "a.tif"
    Image.new(mode, (5, 4), value).save(path)
    image = read_image(path)
    assert image.shape == (4, 5, 3)
    assert (image == expected).all()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_pixels_are_an_error(mode: str, tmp_path: Path) -> None:
    Image.new(mode, (5, 4), 1).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match="32 bits"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_the_first_picture_of_an_animation_is_decoded(form: str, tmp_path: Path) -> None:
    red, blue = (Image.new("RGB", (6, 4), colour) for colour in ("red", "blue"))
    content = encoded(form, red, save_all=True, append_images=[blue], exif=Image.Exif())
    path = tmp_path / "moving"
    path.write_bytes(content)
    image = read_image(path).astype(int)
    assert (np.abs(image - (255, 0, 0)) < 8).all()


def test_no_other_program_is_started(tmp_path: Path) -> None:
    """Pillow gives PostScript to Ghostscript, whatever the file is called."""
    path = tmp_path / "innocent.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n")
    with Image.open(path) as picture:
        assert picture.format == "EPS"  # else this test would test nothing
    with pytest.raises(UserError, match="cannot identify"):
        read_image(path)


def test_empty_huge_and_missing_files(tmp_path: Path) -> None:
    empty, huge, folder = tmp_path / "e.png", tmp_path / "h.png", tmp_path / "f.png"
    empty.touch()
    folder.mkdir()
    one_bit = encoded("PNG", Image.new("1", (20_000, 20_000)))  # 50 kB, 1.2 GB as RGB
    huge.write_bytes(one_bit)
    for path in (empty, huge, folder, tmp_path / "absent.png", Path("x" * 5000), Path("a\0b")):
        with pytest.raises(UserError):
            read_image(path)


def test_elongated_pictures_are_not_enlarged_without_limit() -> None:
    """The shorter side becomes 233: of 1 x 60000 pixels 14 million columns, 10 GB."""
    with pytest.raises(UserError, match="elongated"):
        fixed_size("classification", (224, 224))(np.zeros((1, 60_000, 3), np.uint8))


def read_all(folder: Path) -> None:
    for sample in CocoPanoptic(folder):
        assert sample.truth.ids.shape == sample.image.shape[:2]


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coco")
    write_coco_panoptic(folder, (1, 2), (128, 160))
    return folder


def test_damaged_panoptic_json(coco: Path) -> None:
    (description,) = coco.rglob("*.json")
    whole = json.loads(description.read_text("utf-8"))

    @fuzzing
    @given(damaged_json(whole))
    def check(content: Any) -> None:
        write_json(description, content)
        reads_or_refuses(lambda: read_all(coco))

    try:
        check()
        description.write_text("[" * 100_000)
        with pytest.raises(UserError):
            read_all(coco)
    finally:
        write_json(description, whole)
    read_all(coco)


def test_file_names_with_glob_characters(coco: Path, tmp_path: Path) -> None:
    """`[1]` in a file's name is no character class."""
    folder = tmp_path / "with spaces"
    shutil.copytree(coco, folder)
    (description,) = folder.rglob("*.json")
    content = json.loads(description.read_text("utf-8"))
    for entry in content["images"]:
        picture = folder / "images" / entry["file_name"]
        entry["file_name"] = f"ü [1] {picture.name}"
        picture.rename(picture.with_name(entry["file_name"]))
    write_json(description, content)
    read_all(folder)


def test_damaged_masks(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.new("RGB", (12, 10)).save(tmp_path / "images" / "a.png")
    mask = tmp_path / "masks" / "a.png"
    whole = encoded("PNG", Image.new("L", (12, 10), 1), exif=Image.Exif())

    @fuzzing
    @given(damaged_bytes(whole))
    def check(content: bytes) -> None:
        mask.write_bytes(content)
        reads_or_refuses(lambda: list(MaskFolder(tmp_path, 3)))

    check()


def test_a_damaged_picture_in_a_class_folder(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").touch()
    with pytest.raises(UserError, match="cannot read"):
        list(ImageFolder(tmp_path, ["cat"]))
