"""`CocoPanoptic`: layouts, splits, ids, notes and errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lvt.data.datasets.coco_panoptic import CocoPanoptic
from lvt.demo.scenes import CLASSES, make_scene, write_coco_panoptic
from lvt.errors import UserError
from lvt.panoptic.coco import CATEGORIES, THINGS
from lvt.panoptic.fusion import PanopticMap, Segment
from lvt.panoptic.quality import PanopticQuality, PanopticTruth, TrueSegment
from tests.lvt.pictures import PHOTO, save


def as_prediction(truth: PanopticTruth, things: int) -> PanopticMap:
    """The ground truth as a prediction."""
    segments = tuple(
        Segment(s.id, s.label, int((truth.ids == s.id).sum()), 0 if s.label < things else None)
        for s in truth.segments
        if not s.crowd
    )
    return PanopticMap(truth.ids.astype(np.int32), segments, void=0)


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


def test_layout_of_the_coco_downloads(tmp_path: Path) -> None:
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
def test_missing_files_are_reported_at_once(missing: str, tmp_path: Path) -> None:
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
        result = PanopticQuality(0, 1)
        result.add(PanopticMap(predicted.astype(np.int32), segments, void=0), truth)
        return result.report().all.pq

    wide = np.array([[1] * 10 + [0] * 2])
    assert quality(0, wide) == 1.0
    assert quality(9, wide) == 6 / 10
    two = np.array([[1] * 6 + [2] * 6])
    assert quality(0, two) == 1.0
    assert quality(9, two) == 1 / 1.5
