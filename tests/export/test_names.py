"""Names of classes that a checkpoint lacks, or has wrongly, come from a file of the user's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from export.cli import eval as eval_cli
from export.cli import export as cli
from export.plan import ExportRequest, resolve_model
from lvt.errors import UserError
from lvt.models import build_random
from tests.export.test_cli import one_line_error, run
from tests.helpers.artifact_fixtures import TINY_SEMANTIC


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper's SegFormer for three classes, as a bare state dict."""
    from lvt.config import LVT
    from lvt.models import ModelSpec

    path = tmp_path_factory.mktemp("unnamed") / "unnamed.pth"
    torch.save(build_random(ModelSpec("semantic", LVT, 3, decoder_dim=24)).state_dict(), path)
    return path


def test_a_checkpoint_without_names_is_told(unnamed: Path) -> None:
    job = resolve_model(ExportRequest("onnx", checkpoint=unnamed, size=(64, 96)))
    assert job.labels is not None
    assert job.labels.names == ("class 0", "class 1", "class 2")
    (note,) = job.notes
    assert note == (
        "the checkpoint names no classes: they are called class 0 to class 2; --names FILE gives "
        "names"
    )


def test_names_and_colours_of_the_user(unnamed: Path, tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    file.write_text(json.dumps({"names": ["sky", "car", "road"], "colours": [[1, 2, 3]] * 3}))
    job = resolve_model(ExportRequest("onnx", checkpoint=unnamed, size=(64, 96), names=str(file)))
    assert job.labels is not None
    assert job.labels.names == ("sky", "car", "road")
    assert job.labels.colours == ((1, 2, 3),) * 3
    assert job.notes == ()


def test_wrong_names_of_a_checkpoint_can_be_put_right(unnamed: Path, tmp_path: Path) -> None:
    path = tmp_path / "twelve.pth"
    state = torch.load(unnamed, weights_only=True)
    torch.save({"state_dict": state, "meta": {"CLASSES": list("abcd")}}, path)
    with pytest.raises(UserError, match=r"names 4 classes but predicts 3; .* --names FILE"):
        resolve_model(ExportRequest("onnx", checkpoint=path, size=(64, 96)))
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\n")
    job = resolve_model(ExportRequest("onnx", checkpoint=path, size=(64, 96), names=names))
    assert job.labels is not None
    assert job.labels.names == ("a", "b", "c")


def test_names_for_what_has_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = tmp_path / "names.txt"
    names.write_text("a\n")
    code = run(cli.app, "onnx", "--task", "backbone", "--size", "64x96", "--names", names)
    assert code == 2
    assert "a bare backbone has no classes" in one_line_error(capfd)


def test_an_artifacts_names_are_fixed(
    tiny_int8: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert TINY_SEMANTIC.classes == 3
    code = run(eval_cli.app, tiny_int8, "--data", tmp_path, "--names", tmp_path / "n.txt")
    assert code == 2
    assert "are for checkpoints; an artifact has fixed values" in one_line_error(capfd)
