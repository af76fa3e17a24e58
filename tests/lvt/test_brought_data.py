"""Data sets and pictures as people have them: read as they were meant, or named with what to do."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lvt.data.datasets.coco_panoptic import CocoPanoptic
from lvt.data.datasets.image_folder import ImageFolder
from lvt.data.datasets.mask_folder import MaskFolder
from lvt.data.decoding import BASE_FORMATS, PICTURE_FORMATS
from lvt.data.images import list_images, packaged_photos, read_image
from lvt.errors import UserError
from lvt.panoptic.fusion import PanopticMap, Segment
from lvt.panoptic.quality import PanopticQuality, PanopticTruth, TrueSegment

PHOTO = read_image(packaged_photos()[0])[:60, :80]
MASK = np.arange(60 * 80).reshape(60, 80) % 3


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path, **options)
    return path


def pair(folder: Path, name: str, sub: str = "", mask: np.ndarray = MASK) -> None:
    save(folder / "images" / sub / f"{name}.png", PHOTO)
    save(folder / "masks" / sub / f"{name}.png", mask)


# Pictures


@pytest.mark.parametrize(
    ("form", "suffix"), [(f, s) for f, all_ in PICTURE_FORMATS.items() for s in all_]
)
def test_one_list_of_formats_for_every_reader(form: str, suffix: str, tmp_path: Path) -> None:
    if form == "HEIF":
        pytest.importorskip("pillow_heif", reason="needs lvt-mobile[heic]").register_heif_opener()
    path = tmp_path / f"photo{suffix.upper()}"
    picture = Image.fromarray(PHOTO)
    (picture.convert("L") if suffix == ".pgm" else picture).save(path, form)
    assert list_images(tmp_path) == [path]
    difference = np.abs(read_image(path).astype(int) - PHOTO)
    assert difference.mean() < (30 if form in ("GIF",) or suffix == ".pgm" else 6)
    assert form in (*BASE_FORMATS, "AVIF", "HEIF")


def test_heic_without_its_library_says_what_to_do(
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
def test_a_jpeg_without_its_last_bytes_is_whole(
    options: dict[str, Any], missing: int, tmp_path: Path
) -> None:
    path = save(tmp_path / "a.jpg", PHOTO, **options)
    whole = read_image(path)
    path.write_bytes(path.read_bytes()[:-missing])
    np.testing.assert_array_equal(read_image(path), whole)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.98])
def test_a_jpeg_that_lacks_pixels_is_refused(
    options: dict[str, Any], kept: float, tmp_path: Path
) -> None:
    """Grey rows in the place of a street would be measured as if they were one."""
    path = save(tmp_path / "a.jpg", PHOTO, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UserError, match="truncated"):
        read_image(path)


def test_a_phones_200_megapixels(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (16320, 12240)).save(path)
    assert read_image(path).shape == (12240, 16320, 3)
    assert not recwarn.list


def test_the_limit_of_pixels_is_told_and_can_be_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", PHOTO)
    monkeypatch.setenv("LVT_MOST_PIXELS", "4799")
    with pytest.raises(UserError, match=r"80x60 pixels are too many.*LVT_MOST_PIXELS"):
        read_image(path)
    monkeypatch.setenv("LVT_MOST_PIXELS", "4800")
    assert read_image(path).shape == (60, 80, 3)
    monkeypatch.setenv("LVT_MOST_PIXELS", "many")
    with pytest.raises(UserError, match="LVT_MOST_PIXELS is not a number"):
        read_image(path)


def test_pictures_in_subfolders_and_files_of_a_mac(tmp_path: Path) -> None:
    for city in ("bern", "basel"):
        save(tmp_path / city / "a.png", PHOTO)
        (tmp_path / city / "._a.png").write_bytes(b"\0\5\x16\7")
    assert [path.parent.name for path in list_images(tmp_path)] == ["basel", "bern"]
    top = save(tmp_path / "top.tif", PHOTO)
    assert list_images(tmp_path) == [top]  # those in the folder itself are meant


# Masks


def labels(folder: Path, **options: Any) -> list[np.ndarray]:
    return [sample.labels for sample in MaskFolder(folder, 3, **options)]


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


def test_masks_are_turned_as_their_photos_are(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 3
    save(tmp_path / "images" / "a.png", PHOTO[::-1, ::-1], exif=exif)
    save(tmp_path / "masks" / "a.png", MASK[::-1, ::-1], exif=exif)
    (sample,) = MaskFolder(tmp_path, 3)
    np.testing.assert_array_equal(sample.image, PHOTO)
    np.testing.assert_array_equal(sample.labels, MASK)


def test_two_pictures_with_one_mask_are_refused(tmp_path: Path) -> None:
    pair(tmp_path, "a")
    save(tmp_path / "images" / "a.jpg", PHOTO)
    with pytest.raises(UserError, match=r"a\.jpg and a\.png have one mask, a\.png"):
        MaskFolder(tmp_path, 3)


def test_a_mask_that_is_missing_is_told_first(tmp_path: Path) -> None:
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
def test_what_masks_hold_beside_classes(
    mask: np.ndarray, expected: list[str], tmp_path: Path
) -> None:
    pair(tmp_path, "a", mask=mask)
    data = MaskFolder(tmp_path, 3)
    list(data)
    assert len(data.notes) == len(expected)
    for note, pattern in zip(data.notes, expected, strict=True):
        assert re.search(pattern, note)


# Folders of classes


def test_numbers_are_classes(tmp_path: Path) -> None:
    """Sorted as text, 10 would come before 2."""
    for number in (0, 2, 10):
        save(tmp_path / str(number) / "a.png", PHOTO)
    names = [f"class-{number}" for number in range(11)]
    data = ImageFolder(tmp_path, names)
    assert sorted(sample.label for sample in data) == [0, 2, 10]
    assert data.notes == (
        "folders are numbers of classes: 0 is class-0, 10 is class-10, 2 is class-2",
    )
    with pytest.raises(UserError, match="folder 10 is no class: the model has 10"):
        ImageFolder(tmp_path, names[:10])


def test_the_order_that_is_taken_is_told(tmp_path: Path) -> None:
    for name in "zyx":
        save(tmp_path / name / "a.png", PHOTO)
    (note,) = ImageFolder(tmp_path, ["cat", "dog", "owl"]).notes
    assert note.endswith("x is cat, y is dog, z is owl")


def test_an_empty_class_folder_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "a.png", PHOTO)
    (tmp_path / "dog").mkdir()
    data = ImageFolder(tmp_path, ["cat", "dog"])
    assert [sample.label for sample in data] == [0]
    assert data.notes == ("no pictures in 1 class folders, such as dog",)
    (tmp_path / "cat" / "a.png").unlink()
    with pytest.raises(UserError, match="no class folder holds a picture"):
        ImageFolder(tmp_path, ["cat", "dog"])


# COCO


def coco(root: Path, split: str, ids: np.ndarray, encoding: str = "utf-8") -> Path:
    segment = {"id": 5, "category_id": 3, "area": 0, "iscrowd": 0}
    name = f"{split}.jpg"
    document = {
        "images": [{"id": 1, "file_name": name}],
        "categories": [{"id": 3, "name": "sky", "isthing": 0}],
        "annotations": [
            {"image_id": 1, "file_name": f"{split}.png", "segments_info": [segment]},
        ],
    }
    path = root / "annotations" / f"panoptic_{split}2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding)
    save(root / f"{split}2017" / name, PHOTO)
    channels = np.stack([ids % 256, ids // 256, ids * 0], -1)
    save(path.with_suffix("") / f"{split}.png", channels)
    return path


IDS = np.where(np.arange(80) < 40, 5, 0)[None].repeat(60, 0)


def test_cocos_own_layout(tmp_path: Path) -> None:
    train, val = (coco(tmp_path, split, IDS) for split in ("train", "val"))
    with pytest.raises(UserError, match="choose with --split, or give the JSON's path"):
        CocoPanoptic(tmp_path)
    for data in (CocoPanoptic(val), CocoPanoptic(tmp_path, split="val2017")):
        assert len(data) == 1
        assert (data[0].truth.ids == IDS).all()
    assert len(CocoPanoptic(train)) == 1
    with pytest.raises(UserError, match="--split test"):
        CocoPanoptic(tmp_path, split="test")


def test_a_byte_order_mark(tmp_path: Path) -> None:
    assert len(CocoPanoptic(coco(tmp_path, "val", IDS, "utf-8-sig"))) == 1


@pytest.mark.parametrize("missing", ["val2017/val.jpg", "annotations/panoptic_val2017/val.png"])
def test_what_is_missing_is_told_first(missing: str, tmp_path: Path) -> None:
    path = coco(tmp_path, "val", IDS)
    document = json.loads(path.read_text())
    document["images"].append({"id": 2, "file_name": "val.jpg"})
    document["images"][1]["file_name"] = "other.jpg"
    entry = {**document["annotations"][0], "image_id": 2, "file_name": "other.png"}
    document["annotations"].append(entry)
    path.write_text(json.dumps(document))
    save(tmp_path / "val2017" / "other.jpg", PHOTO)
    save(path.with_suffix("") / "other.png", PHOTO)
    CocoPanoptic(path)
    (tmp_path / missing.replace("/val.", "/other.")).unlink()
    with pytest.raises(UserError, match=r"lacks other\.(jpg|png), which the JSON lists"):
        CocoPanoptic(path)


def test_ids_that_the_json_does_not_list(tmp_path: Path) -> None:
    data = CocoPanoptic(coco(tmp_path, "val", np.where(np.arange(60)[:, None] < 20, 7, IDS)))
    assert data.notes == ()
    list(data)
    assert "such as 7 in val.png" in data.notes[0]


def test_unlisted_ids_count_as_panopticapi_counts_them() -> None:
    """A predicted segment on void is forgiven; on an id without a segment it is not."""

    def quality(other: int, predicted: np.ndarray) -> float:
        truth = PanopticTruth(np.array([[1] * 6 + [other] * 6]), (TrueSegment(1, 0),))
        segments = tuple(
            Segment(int(number), 0, int((predicted == number).sum()), None)
            for number in np.unique(predicted[predicted > 0])
        )
        found = PanopticQuality(0, 1)
        found.add(PanopticMap(predicted.astype(np.int32), segments, void=0), truth)
        return found.report().all.pq

    wide = np.array([[1] * 10 + [0] * 2])
    assert quality(0, wide) == 1.0
    assert quality(9, wide) == 6 / 10
    two = np.array([[1] * 6 + [2] * 6])
    assert quality(0, two) == 1.0
    assert quality(9, two) == 1 / 1.5


def test_a_picture_of_a_stream_is_as_one_of_a_file(tmp_path: Path) -> None:
    from lvt.data.decoding import decode

    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, "PNG")
    buffer.seek(0)
    np.testing.assert_array_equal(decode(buffer), PHOTO)
