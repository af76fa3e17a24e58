"""Folders of labelled pictures are read as their makers meant them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lvt.data.datasets.coco_panoptic import CocoPanoptic
from lvt.data.datasets.image_folder import ImageFolder
from lvt.data.datasets.mask_folder import MaskFolder
from lvt.data.labels import imagenet_names, imagenet_wordnet_ids
from lvt.demo.scenes import CLASSES, make_scene, write_coco_panoptic
from lvt.errors import UserError
from lvt.panoptic.coco import CATEGORIES, THINGS
from lvt.panoptic.fusion import PanopticMap, Segment
from lvt.panoptic.quality import PanopticQuality, PanopticTruth


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


GREY = np.full((4, 6, 3), 90, np.uint8)


def test_image_folder_by_wordnet_id_and_by_name(tmp_path: Path) -> None:
    save(tmp_path / "n01440764" / "a.png", GREY)
    save(tmp_path / "goldfish" / "b.png", GREY)
    samples = list(ImageFolder(tmp_path, imagenet_names(), imagenet_wordnet_ids()))
    assert [sample.label for sample in samples] == [1, 0]  # goldfish, then the tench's id


def test_image_folder_in_label_order_when_all_are_there(tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        save(tmp_path / name / "a.png", GREY)
    samples = list(ImageFolder(tmp_path, ["class 0", "class 1", "class 2"]))
    assert [sample.label for sample in samples] == [0, 1, 2]


def test_image_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no class folders"):
        ImageFolder(tmp_path, ["a"])
    save(tmp_path / "unicorn" / "a.png", GREY)
    with pytest.raises(UserError, match="unicorn is no class"):
        ImageFolder(tmp_path, ["a", "b"])
    save(tmp_path / "a" / "a.png", GREY)
    with pytest.raises(UserError, match="unicorn is no class"):
        ImageFolder(tmp_path, ["a", "b"])  # one stray folder must not reorder the others
    with pytest.raises(UserError, match="not a folder"):
        ImageFolder(tmp_path / "absent", ["a"])


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
    with pytest.raises(UserError, match="must hold images/ and masks/"):
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


def as_prediction(truth: PanopticTruth, things: int) -> PanopticMap:
    """The truth as if a model had said it."""
    segments = tuple(
        Segment(s.id, s.label, int((truth.ids == s.id).sum()), 0 if s.label < things else None)
        for s in truth.segments
        if not s.crowd
    )
    return PanopticMap(truth.ids.astype(np.int32), segments, void=0)


def test_demo_scenes_round_trip(tmp_path: Path) -> None:
    """Written as COCO and read again, the ids are the scene's own."""
    write_coco_panoptic(tmp_path, [5, 6], (128, 160))
    samples = list(CocoPanoptic(tmp_path, CLASSES))
    assert len(samples) == 2
    scene = make_scene(5, (128, 160))
    assert np.array_equal(samples[0].truth.ids, scene.ids)
    labels = {segment.id: segment.label for segment in samples[0].truth.segments}
    assert labels == {segment.id: segment.category for segment in scene.segments}


def test_coco_samples_score_100_against_themselves(shared: Path) -> None:
    """Two real COCO pictures: ids, categories and crowds survive our reading of the format."""
    folder = shared / "real" / "panoptic_sample" / "sample_data"
    names = [category.name for category in CATEGORIES]
    quality = PanopticQuality(len(THINGS), len(CATEGORIES) - len(THINGS))
    samples = list(CocoPanoptic(folder, names))
    assert len(samples) == 2
    for sample in samples:
        assert sample.truth.ids.shape == sample.image.shape[:2]
        assert len(sample.truth.segments) > 3
        quality.add(as_prediction(sample.truth, len(THINGS)), sample.truth)
    report = quality.report()
    assert (report.all.pq, report.all.sq, report.all.rq) == (1, 1, 1)
    assert report.things.classes
    assert report.stuff.classes


def test_coco_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no COCO panoptic JSON"):
        CocoPanoptic(tmp_path, CLASSES)
    write_coco_panoptic(tmp_path, [5], (128, 160))
    with pytest.raises(UserError, match="is no class of the model"):
        CocoPanoptic(tmp_path, ["sky"])
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="is nowhere in"):
        CocoPanoptic(tmp_path, CLASSES)
    description = next(tmp_path.glob("*.json"))
    data = json.loads(description.read_text())
    del data["images"][0]["id"]
    description.write_text(json.dumps(data))
    with pytest.raises(UserError, match="not a COCO panoptic file"):
        CocoPanoptic(tmp_path, CLASSES)
