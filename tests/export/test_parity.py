"""Parity: a wrong file fails, its deviation is located, and errors name their cause."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

import export.pipeline as exporter
from export.capabilities import Recipe
from export.errors import ConversionError, ParityError
from export.parity import verify
from export.parity.compare import TOLERANCES, Tolerance, compare
from export.parity.localize import first_deviation
from export.pipeline import ExportResult, export_artifact
from export.plan import ExportRequest, plan_export, resolve_model
from export.rewrite import rewrite
from export.rewrite.mlp import PointwiseMlp
from export.session import Outputs
from export.targets.onnx import target as onnx_target
from lvt.checkpoint import identify, load_model, read_checkpoint
from lvt.data.images import packaged_photos, read_image
from lvt.data.preprocessing import fixed_size
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.models import ModelSpec, build_random
from tests.conftest import TINY


def photo(size: tuple[int, int]) -> np.ndarray:
    return fixed_size("semantic", size)(read_image(packaged_photos()[1]))


class ScaledMlp(nn.Module):
    """A wrong rewrite: one percent too large."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) * 1.01


def break_first_mlp(model: nn.Module, recipe: Recipe) -> nn.Module:
    broken = rewrite(model, recipe)
    stage = broken.get_submodule("backbone.backbone.0.1.0")
    stage.mlp = ScaledMlp(stage.mlp)
    return broken


class BrokenSession:
    """A session with an error of its own."""

    def run(self, image: NDArray[np.float32]) -> Outputs:
        raise ValueError("broken")


@pytest.mark.slow
def test_an_error_of_the_runtime_is_reported_as_such(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_target, "open_session", lambda _path, threads: BrokenSession())
    with pytest.raises(ConversionError, match="the file does not run: ValueError: broken"):
        export_artifact(ExportRequest("onnx", out=tmp_path, checkpoint=tiny_checkpoint))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_error_of_our_own_is_not_blamed_on_the_file(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a bug in the reference or the comparison would send users to the converter."""
    monkeypatch.setattr(verify, "reference_session", lambda _model, _spec: BrokenSession())
    with pytest.raises(ValueError, match=r"^broken$"):
        export_artifact(ExportRequest("onnx", out=tmp_path, checkpoint=tiny_checkpoint))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_wrong_rewrite_fails_parity_and_is_located(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deviation must stop the export, leave nothing behind, and point at its module."""
    monkeypatch.setattr(exporter, "rewrite", break_first_mlp)
    with pytest.raises(ParityError) as caught:
        export_artifact(ExportRequest("onnx", out=tmp_path, checkpoint=tiny_checkpoint))
    text = str(caught.value)
    assert "logits is off by" in text
    assert "deviation starts at backbone.backbone.0.1.0.mlp" in text
    assert "--images adds pictures" in text  # only the bundled ones were compared
    assert "rewritten PyTorch module" in text
    assert list(tmp_path.iterdir()) == []


def test_deviation_in_the_file_alone_is_located(
    tiny_export: ExportResult, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """A converter's fault: the PyTorch rewrite is right, a weight in the written file is not."""
    proto = onnx.load(tiny_export.path)
    wrong = next(t for t in proto.graph.initializer if t.name == "backbone.backbone.2.1.0.attn.ds")
    values = onnx.numpy_helper.to_array(wrong) * np.float32(1.05)
    wrong.CopyFrom(onnx.numpy_helper.from_array(values, wrong.name))
    path = tmp_path / "wrong.onnx"
    onnx.save(proto, path)
    checkpoint = read_checkpoint(tiny_checkpoint)
    model = load_model(checkpoint, identify(checkpoint))
    image = photo((64, 96))

    def outputs_of(file: Path) -> Outputs:
        names = ["backbone.backbone.2.1.0.attn", "backbone.backbone.3.0"]
        return onnx_target.module_outputs(file, image, names)

    right = outputs_of(tiny_export.path)
    assert list(right) == ["backbone.backbone.2.1.0.attn", "backbone.backbone.3.0"]
    found = first_deviation(
        model,
        rewrite(model, "onnxruntime"),
        "onnxruntime",
        lambda names: onnx_target.module_outputs(path, image, names),
        image,
        90.0,
    )
    assert found is not None
    assert (found.module, found.side) == ("backbone.backbone.2.1.0.attn", "runtime")
    clean = first_deviation(
        model,
        rewrite(model, "onnxruntime"),
        "onnxruntime",
        lambda names: onnx_target.module_outputs(tiny_export.path, image, names),
        image,
        90.0,
    )
    assert clean is None


class FixedSession:
    """Returns what it is given."""

    def __init__(self, **outputs: np.ndarray):
        self.outputs = outputs

    def run(self, image: np.ndarray) -> Outputs:
        return self.outputs


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (lambda x: x + np.float32(0.1), "is off by"),
        (lambda x: x * np.float32(np.nan), "is off by inf"),
        (lambda x: x[:, ::-1].copy(), "agreement"),
    ],
    ids=["shift", "nan", "labels"],
)
def test_each_tolerance_can_fail(change: object, phrase: str) -> None:
    """A tolerance that nothing violates protects nothing."""
    logits = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    report = compare(
        FixedSession(logits=logits),
        FixedSession(logits=change(logits)),  # type: ignore[operator]
        [np.zeros((1, 3, 32, 32), np.float32)],
        ModelSpec("semantic", TINY, 4),
        TOLERANCES["fp32"],
    )
    assert not report.passed
    assert any(phrase in failure for failure in report.failures), report.failures


def test_a_chips_software_model_sees_the_users_pictures_first(tmp_path: Path) -> None:
    """It takes a minute for each picture, so there are four: the user's, from the whole folder."""
    for index in range(9):
        Image.fromarray(np.full((32, 32, 3), index, np.uint8)).save(tmp_path / f"{index}.png")

    def first_values(target: str, checkpoint: str | None, images: Path | None) -> list[int]:
        task = None if checkpoint else "semantic"
        soc = ("sm8650",) if target == "qnn" else ()
        request = ExportRequest(
            target, checkpoint=checkpoint, task=task, size=(32, 32), images=images, soc=soc
        )
        plan = plan_export(request, resolve_model(request))
        return [int(picture()[0, 0, 0]) for picture in verify.parity_pictures(plan)]

    photos = [int(read_image(path)[0, 0, 0]) for path in packaged_photos()]
    scenes = [int(make_scene(seed, DEMO_SIZE).image[0, 0, 0]) for seed in HELD_OUT_SEEDS[:4]]
    assert first_values("qnn", None, tmp_path) == [0, 2, 4, 6]
    assert first_values("qnn", None, None) == photos[:4]
    assert first_values("qnn", "demo", None) == scenes
    assert first_values("onnx", "demo", tmp_path) == [*photos, *range(9), *scenes]


def test_parity_numbers_by_hand() -> None:
    expected = np.array([[0.0, 3.0, 4.0]], np.float32)
    actual = np.array([[0.5, 3.0, 4.0]], np.float32)
    report = compare(
        FixedSession(logits=expected),
        FixedSession(logits=actual),
        [np.zeros((1, 3, 8, 8), np.float32)] * 2,
        ModelSpec("classification", TINY, 3),
        Tolerance(0.2, 15.0, 1.0, 0.0),
    )
    output = report.outputs[0]
    assert (report.images, output.max_abs_error, output.range) == (2, 0.5, 4.0)
    assert output.sqnr_db == pytest.approx(20.0)
    assert report.agreement == 1.0
    assert report.passed


def test_pointwise_mlp_is_what_the_backbone_uses() -> None:
    """The break above must break something the export really contains."""
    rewritten = rewrite(build_random(ModelSpec("semantic", TINY, 3, decoder_dim=24)), "onnxruntime")
    mlp = rewritten.get_submodule("backbone.backbone.0.1.0.mlp")
    assert isinstance(mlp, PointwiseMlp)
