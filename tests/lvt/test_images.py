"""Reading and listing of picture files in the formats of cameras and data sets."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lvt.data.decoding import BASE_FORMATS, PICTURE_FORMATS
from lvt.data.images import list_images, read_image
from lvt.errors import UserError
from tests.lvt.pictures import PHOTO, save


@pytest.mark.parametrize(
    ("form", "suffix"), [(f, s) for f, all_ in PICTURE_FORMATS.items() for s in all_]
)
def test_every_format_is_listed_and_decoded(form: str, suffix: str, tmp_path: Path) -> None:
    if form == "HEIF":
        pytest.importorskip("pillow_heif", reason="needs lvt-mobile[heic]").register_heif_opener()
    path = tmp_path / f"photo{suffix.upper()}"
    picture = Image.fromarray(PHOTO)
    (picture.convert("L") if suffix == ".pgm" else picture).save(path, form)
    assert list_images(tmp_path) == [path]
    difference = np.abs(read_image(path).astype(int) - PHOTO)
    assert difference.mean() < (30 if form in ("GIF",) or suffix == ".pgm" else 6)
    assert form in (*BASE_FORMATS, "AVIF", "HEIF")


def test_heic_without_its_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "phone.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(200))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr("lvt.data.decoding.find_spec", lambda _name: None)
    with pytest.raises(UserError, match=r"it is HEIC.*pip install 'lvt-mobile\[heic\]'"):
        read_image(path)


@pytest.mark.parametrize("options", [{}, {"quality": 100}, {"subsampling": 0}])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_last_bytes_has_all_pixels(
    options: dict[str, Any], missing: int, tmp_path: Path
) -> None:
    path = save(tmp_path / "a.jpg", PHOTO, **options)
    whole = read_image(path)
    path.write_bytes(path.read_bytes()[:-missing])
    np.testing.assert_array_equal(read_image(path), whole)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.98])
def test_a_jpeg_without_some_pixels_is_an_error(
    options: dict[str, Any], kept: float, tmp_path: Path
) -> None:
    """Grey rows in the place of a street would be measured as if they were one."""
    path = save(tmp_path / "a.jpg", PHOTO, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UserError, match="truncated"):
        read_image(path)


@pytest.mark.slow
def test_200_megapixels_of_a_phone(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (16320, 12240)).save(path)
    assert read_image(path).shape == (12240, 16320, 3)
    assert not recwarn.list


def test_the_limit_of_pixels_can_be_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", PHOTO)
    monkeypatch.setenv("LVT_MOST_PIXELS", "4799")
    with pytest.raises(UserError, match=r"80x60 pixels are too many.*LVT_MOST_PIXELS"):
        read_image(path)
    monkeypatch.setenv("LVT_MOST_PIXELS", "4800")
    assert read_image(path).shape == (60, 80, 3)
    monkeypatch.setenv("LVT_MOST_PIXELS", "many")
    with pytest.raises(UserError, match="LVT_MOST_PIXELS is not a number"):
        read_image(path)


def test_pictures_in_subfolders_and_hidden_files(tmp_path: Path) -> None:
    for city in ("bern", "basel"):
        save(tmp_path / city / "a.png", PHOTO)
        (tmp_path / city / "._a.png").write_bytes(b"\0\5\x16\7")
    assert [path.parent.name for path in list_images(tmp_path)] == ["basel", "bern"]
    top = save(tmp_path / "top.tif", PHOTO)
    assert list_images(tmp_path) == [top]  # those in the folder itself are meant


def test_a_stream_is_decoded_like_a_file(tmp_path: Path) -> None:
    from lvt.data.decoding import decode

    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, "PNG")
    buffer.seek(0)
    np.testing.assert_array_equal(decode(buffer), PHOTO)
