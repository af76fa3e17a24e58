"""Metrics come out the same whoever computes the answers, and are those of the definition."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export import eval_cli
from export.evaluation import DemoScenes, evaluate, open_data, open_subject
from export.exporter import ExportResult
from lvt.datasets import MaskFolder
from lvt.errors import UserError
from lvt.metrics import confusion_matrix, mean_iou
from tests.export.test_cli import one_line_error, run


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
    artifact, reference = open_subject(tiny_export.path), open_subject(tiny_checkpoint)
    data = open_data(mask_folder, artifact)
    left, right = evaluate(artifact, data), evaluate(reference, data)
    assert left.images == right.images == 3
    assert left.figures["mIoU"] == pytest.approx(right.figures["mIoU"], abs=0.05)
    assert left.per_class.keys() <= {"red", "green", "blue"}


def test_mean_iou_is_that_of_one_confusion_matrix(
    tiny_export: ExportResult, mask_folder: Path
) -> None:
    """Averaging over pictures instead of pooling them would give another figure."""
    subject = open_subject(tiny_export.path)
    matrix = sum(
        confusion_matrix(subject.answer(sample.image), sample.labels, 3)  # type: ignore[arg-type]
        for sample in MaskFolder(mask_folder, 3)
    )
    result = evaluate(subject, open_data(mask_folder, subject))
    assert isinstance(matrix, np.ndarray)
    assert result.figures["mIoU"] == pytest.approx(100 * mean_iou(matrix))
    assert result.details["confusion"] == matrix.tolist()


def test_limit_and_progress(tiny_export: ExportResult, mask_folder: Path) -> None:
    subject = open_subject(tiny_export.path)
    seen: list[tuple[int, int]] = []
    data = open_data(mask_folder, subject)
    result = evaluate(subject, data, limit=2, tick=lambda *now: seen.append(now))
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
        DemoScenes(3, ("a", "b"))


def test_official_transform_of_a_checkpoint(tiny_checkpoint: Path) -> None:
    """Any size goes through the reference; the answer has the picture's size."""
    subject = open_subject(tiny_checkpoint, official_transform=True)
    picture = np.zeros((60, 200, 3), np.uint8)
    labels = subject.answer(picture)
    assert isinstance(labels, np.ndarray)
    assert labels.shape == (60, 200)
