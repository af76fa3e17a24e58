"""Metrics are those of the definition, and the same for the reference and for artifacts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from export.artifact.reader import open_artifact
from export.cli import eval as eval_cli
from export.cli import run as run_cli
from export.evaluation.evaluate import evaluate
from export.evaluation.labelled_data import HeldOutScenes, LabelledData
from export.pipeline import ExportResult
from export.predict.prediction import ClassPrediction, SemanticPrediction
from export.predict.predictor import Predictor, reference_predictor
from lvt.checkpoint import CheckpointMeta, write_checkpoint
from lvt.data.datasets.coco_panoptic import CocoPanoptic
from lvt.data.datasets.mask_folder import MaskFolder
from lvt.data.metrics import confusion_matrix, mean_iou
from lvt.demo import DEMO_SIZE
from lvt.demo.scenes import CLASSES, make_scene
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random
from lvt.panoptic.quality import PanopticQuality
from tests.conftest import TINY
from tests.export.test_cli import one_line_error, run
from tests.lvt.test_coco_panoptic import as_prediction


def label_map(predictor: Predictor, picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    prediction = predictor.predict(picture)
    assert isinstance(prediction, SemanticPrediction)
    return prediction.label_map


@pytest.fixture
def mask_folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for index in range(3):
        for kind, shape in (("images", (50, 70, 3)), ("masks", (50, 70))):
            (tmp_path / kind).mkdir(exist_ok=True)
            pixels = generator.integers(0, 256 if kind == "images" else 4, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"{index}.png")
    return tmp_path


def test_reference_and_artifact_agree(
    tiny_export: ExportResult, tiny_checkpoint: Path, mask_folder: Path
) -> None:
    """The same figures from the checkpoint in PyTorch and from the file in its runtime."""
    artifact = open_artifact(tiny_export.path).predictor()
    reference = reference_predictor(tiny_checkpoint)
    data = LabelledData(str(mask_folder)).open("semantic", artifact.labels.names)
    left, right = evaluate(artifact, data), evaluate(reference, data)
    assert left.images == right.images == 3
    assert left.figures["mIoU"] == pytest.approx(right.figures["mIoU"], abs=0.05)
    assert left.per_class.keys() <= {"red", "green", "blue"}


def test_mean_iou_is_that_of_one_confusion_matrix(
    tiny_export: ExportResult, mask_folder: Path
) -> None:
    """Averaging over pictures instead of pooling them would give another figure."""
    predictor = open_artifact(tiny_export.path).predictor()
    matrix = sum(
        confusion_matrix(label_map(predictor, sample.image), sample.labels, 3)
        for sample in MaskFolder(mask_folder, 3)
    )
    result = evaluate(predictor, LabelledData(mask_folder).open("semantic", predictor.labels.names))
    assert isinstance(matrix, np.ndarray)
    assert result.figures["mIoU"] == pytest.approx(100 * mean_iou(matrix))
    assert result.details["confusion"] == matrix.tolist()


def test_limit_and_progress(tiny_export: ExportResult, mask_folder: Path) -> None:
    predictor = open_artifact(tiny_export.path).predictor()
    seen: list[tuple[int, int]] = []
    data = LabelledData(mask_folder).open("semantic", predictor.labels.names)
    result = evaluate(predictor, data, limit=2, progress=lambda *now: seen.append(now))
    assert result.images == 2
    assert seen == [(1, 2), (2, 2)]


def test_command(
    tiny_export: ExportResult, mask_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(eval_cli.app, tiny_export.path, "--data", mask_folder) == 0
    output = capfd.readouterr().out
    assert "mIoU" in output
    assert "3 pictures" in output
    assert run(eval_cli.app, tiny_export.path, "--data", mask_folder, "--json") == 0
    assert json.loads(capfd.readouterr().out)["images"] == 3


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["ARTIFACT"], "either --data DIR or --demo-scenes N"),
        (["ARTIFACT", "--data", "absent"], "absent is not a folder"),
        (["ARTIFACT", "--demo-scenes", "3"], "demonstration model's classes"),
        (["ARTIFACT", "--data", "DATA", "--official"], "are for checkpoints"),
        (["absent.onnx", "--data", "DATA"], "no checkpoint at absent.onnx"),
        ([".", "--data", "DATA"], "no checkpoint at . (a folder)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors(
    arguments: list[str],
    phrase: str,
    tiny_export: ExportResult,
    mask_folder: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    names = {"ARTIFACT": str(tiny_export.path), "DATA": str(mask_folder)}
    assert run(eval_cli.app, *[names.get(a, a) for a in arguments]) == 2
    assert phrase in one_line_error(capfd)


def test_demo_scenes_need_the_demo_classes() -> None:
    with pytest.raises(UserError, match="demonstration model"):
        HeldOutScenes(3, ("a", "b"))


def test_official_transform_of_a_checkpoint(tiny_checkpoint: Path) -> None:
    """Any size goes through the reference; the answer has the picture's size."""
    predictor = reference_predictor(tiny_checkpoint, official_transform=True)
    picture = np.zeros((60, 200, 3), np.uint8)
    assert label_map(predictor, picture).shape == (60, 200)


def test_panoptic_reference_and_artifact_agree(demo_export: ExportResult) -> None:
    """PQ of the file against PQ of `LVTPanoptic.predict`, which knows no slots or bounds."""
    artifact = open_artifact(demo_export.path).predictor()
    reference = reference_predictor(Path("demo"))
    scenes = HeldOutScenes(6, artifact.labels.names)
    left, right = evaluate(artifact, scenes), evaluate(reference, scenes)
    assert left.figures["PQ"] == pytest.approx(right.figures["PQ"], abs=0.2)
    assert left.figures["PQ"] > 60


def test_png_is_coco_s_format(
    demo_export: ExportResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What lvt-run writes with --png is read back and scores 100 against itself."""
    scene, folder = make_scene(11, DEMO_SIZE), tmp_path / "coco"
    folder.mkdir()
    Image.fromarray(scene.image).save(folder / "scene.png")
    (folder / "panoptic").mkdir()
    png = folder / "panoptic" / "map.png"
    overlay = tmp_path / "o.png"
    arguments = [demo_export.path, folder / "scene.png", "-o", overlay, "--png", png]
    assert run(run_cli.app, *arguments, "--json") == 0
    shown = json.loads(capfd.readouterr().out)
    assert len([s for s in shown["segments"] if s["score"]]) >= 4
    data = json.loads(png.with_suffix(".json").read_text())
    things = len([c for c in data["categories"] if c["isthing"]])
    (folder / "panoptic" / "map.json").rename(folder / "panoptic.json")
    sample = next(iter(CocoPanoptic(folder, CLASSES)))
    quality = PanopticQuality(things, len(CLASSES) - things)
    quality.add(as_prediction(sample.truth, things), sample.truth)
    assert quality.report().all.pq == 1
    assert len(sample.truth.segments) == len(shown["segments"])
    for entry in data["annotations"][0]["segments_info"]:
        inside = sample.truth.ids == entry["id"]
        x, y, width, height = entry["bbox"]
        assert inside[y : y + height, x : x + width].sum() == inside.sum() == entry["area"]


def test_classification_counts_hits(tmp_path: Path) -> None:
    """Top-1 and top-5 by hand: folders named by what the model itself says, and by what not."""
    spec = ModelSpec("classification", TINY, 7)
    checkpoint = tmp_path / "tiny.safetensors"
    names = tuple(f"c{i}" for i in range(7))
    meta = CheckpointMeta(class_names=names, input_size=(32, 32))
    write_checkpoint(checkpoint, build_random(spec), spec, meta)
    predictor = reference_predictor(checkpoint)
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    prediction = predictor.predict(picture)
    assert isinstance(prediction, ClassPrediction)
    ranked = prediction.classes
    for place in (0, 3, 6):  # best, among the first five, last
        folder = tmp_path / "data" / names[ranked[place].index]
        folder.mkdir(parents=True)
        Image.fromarray(picture).save(folder / "a.png")
    result = evaluate(
        predictor, LabelledData(tmp_path / "data").open("classification", predictor.labels.names)
    )
    assert result.figures["top-1"] == pytest.approx(100 / 3)
    assert result.figures["top-5"] == pytest.approx(200 / 3)
