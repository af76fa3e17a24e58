"""Predictions of artifacts: from a file or an array, drawn, and as data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import export
from export import ExportRequest, export_artifact, open_artifact
from export.pipeline import ExportResult
from export.predict.prediction import ClassPrediction, PanopticPrediction, SemanticPrediction
from lvt.checkpoint import CheckpointMeta, write_checkpoint
from lvt.data.images import packaged_photos, read_image
from lvt.demo import DEMO_SIZE
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random
from tests.conftest import TINY

PHOTO = packaged_photos()[0]


def test_a_file_and_its_pixels_give_one_prediction(tiny_export: ExportResult) -> None:
    artifact = open_artifact(str(tiny_export.path))
    from_file = artifact.predict(str(PHOTO))
    from_pixels = artifact.predict(read_image(PHOTO))
    assert isinstance(from_file, SemanticPrediction)
    assert isinstance(from_pixels, SemanticPrediction)
    assert np.array_equal(from_file.label_map, from_pixels.label_map)
    height, width = from_file.label_map.shape
    assert (height, width) == read_image(PHOTO).shape[:2]
    assert sum(from_file.shares.values()) == pytest.approx(1)
    drawn = from_file.overlay(read_image(PHOTO))
    assert drawn.height == height
    assert drawn.width > width  # the legend


def test_the_runtime_is_opened_once(
    tiny_export: ExportResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session takes longer to open than a prediction takes."""
    from export.targets.onnx import target

    opened: list[Path] = []
    open_session = target.open_session

    def counting(path: Path, *, threads: int = 0) -> object:
        opened.append(path)
        return open_session(path, threads=threads)

    monkeypatch.setattr(target, "open_session", counting)
    artifact = open_artifact(tiny_export.path)
    assert opened == []
    artifact.predict(PHOTO)
    artifact.predict(PHOTO)
    assert len(opened) == 1


def test_segments(demo_export: ExportResult) -> None:
    picture = make_scene(7, DEMO_SIZE).image
    prediction = open_artifact(demo_export.path).predict(picture)
    assert isinstance(prediction, PanopticPrediction)
    segments = json.loads(json.dumps(prediction.to_dict()))["segments"]
    assert sum(segment["area"] for segment in segments) <= picture.shape[0] * picture.shape[1]
    assert [s["score"] for s in segments if s["score"]]
    assert np.any(np.asarray(prediction.overlay(picture))[:, : picture.shape[1]] != picture)


@pytest.mark.slow
def test_classes_are_drawn_beside_the_picture(tmp_path: Path) -> None:
    spec = ModelSpec("classification", TINY, 7)
    checkpoint = tmp_path / "tiny.safetensors"
    meta = CheckpointMeta(class_names=tuple("abcdefg"), input_size=(32, 32))
    write_checkpoint(checkpoint, build_random(spec), spec, meta)
    result = export_artifact(ExportRequest("onnx", checkpoint=str(checkpoint), out=str(tmp_path)))
    prediction = open_artifact(result.path).predict(PHOTO)
    assert isinstance(prediction, ClassPrediction)
    best = prediction.best(3)
    assert best == sorted(best, key=lambda entry: -entry[1])
    picture = read_image(PHOTO)
    drawn = np.asarray(prediction.overlay(picture))
    assert np.array_equal(drawn[:, : picture.shape[1]], picture)
    assert drawn.shape[1] > picture.shape[1]


@pytest.mark.slow
def test_a_backbone_predicts_nothing(tmp_path: Path) -> None:
    spec = ModelSpec("backbone", TINY)
    checkpoint = tmp_path / "backbone.safetensors"
    write_checkpoint(checkpoint, build_random(spec), spec)
    result = export_artifact(
        ExportRequest("onnx", checkpoint=checkpoint, out=tmp_path, size=(32, 32))
    )
    with pytest.raises(UserError, match="bare backbone"):
        open_artifact(result.path).predict(PHOTO)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="'export' has no attribute 'nothing'"):
        _ = export.nothing  # type: ignore[attr-defined]
    assert all(hasattr(export, name) for name in export.__all__)
