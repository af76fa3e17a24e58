"""The stored prediction for the sample picture is the model's own, for every task."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from device_bench.measure.predict_sample import predict_sample
from device_bench.results.sample_prediction import SamplePrediction
from export.artifact.reader import Artifact, open_artifact
from export.pipeline import ExportResult
from export.plan import ExportRequest, resolve_model
from export.reference import reference_session
from export.session import Session
from export.targets import load_target
from lvt.data.images import packaged_photos, read_image
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene


def reference(request: ExportRequest) -> tuple[Artifact, Session]:
    """A model in PyTorch behind what an artifact has; no file is written."""
    job = resolve_model(request)
    manifest = {"inputs": [{"layout": "NCHW", "shape": [1, 3, *job.size]}]}
    artifact = Artifact(Path("none"), manifest, job.spec, job.preprocessing, job.labels)
    return artifact, reference_session(job.reference, job.spec)


def pixels(jpeg: bytes | None) -> NDArray[np.float32]:
    assert jpeg is not None
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert picture.format == "JPEG"
        return np.asarray(picture, np.float32)


def test_a_panoptic_model_finds_what_is_in_its_scene() -> None:
    """The demonstration model: its overlay differs from the picture and has a legend beside it."""
    scene = make_scene(HELD_OUT_SEEDS[7], DEMO_SIZE).image
    prediction = predict_sample(*reference(ExportRequest("onnx", checkpoint=Path("demo"))), scene)
    assert prediction is not None
    original, overlay = pixels(prediction.original), pixels(prediction.overlay)
    assert original.shape == scene.shape
    assert np.abs(original - scene).mean() < 5  # a JPEG of it
    assert overlay.shape[0] == original.shape[0]
    assert overlay.shape[1] > original.shape[1] + 50
    assert np.abs(overlay[:, : original.shape[1]] - original).mean() > 10
    assert prediction.classes == ()
    assert SamplePrediction.from_dict(prediction.to_dict()) == prediction


def test_a_large_picture_is_shrunk(tiny_export: ExportResult) -> None:
    """A camera's twelve megapixels would stand in the file once for every artifact."""
    artifact = open_artifact(tiny_export.path)
    session = load_target("onnx").open_session(tiny_export.path)
    large = np.zeros((1500, 2000, 3), np.uint8)
    prediction = predict_sample(artifact, session, large)
    assert prediction is not None
    assert pixels(prediction.original).shape == (480, 640, 3)
    assert pixels(prediction.overlay).shape[0] == 480


def test_a_classifier_names_its_best_classes() -> None:
    picture = read_image(packaged_photos()[0])
    artifact, session = reference(ExportRequest("onnx", task="classification", size=(64, 64)))
    prediction = predict_sample(artifact, session, picture)
    assert prediction is not None
    assert prediction.overlay is None
    percents = [percent for _, percent in prediction.classes]
    assert len(percents) == 5
    assert percents == sorted(percents, reverse=True)
    logits = session.run(artifact.preprocessing(picture))["logits"][0].astype(np.float64)
    probability = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert percents[0] == pytest.approx(100 * probability.max())
    assert artifact.labels is not None
    assert prediction.classes[0][0] == artifact.labels.names[int(logits.argmax())]
    assert SamplePrediction.from_dict(prediction.to_dict()) == prediction


def test_a_backbone_says_nothing() -> None:
    artifact, session = reference(ExportRequest("onnx", task="backbone", size=(64, 64)))
    assert predict_sample(artifact, session, np.zeros((64, 64, 3), np.uint8)) is None
