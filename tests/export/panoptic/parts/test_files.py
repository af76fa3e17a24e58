"""Files in parts of every target, in their runtimes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.artifact.files import PARTS_SCHEMA
from export.artifact.reader import open_artifact
from export.capabilities import installed, target_info
from export.panoptic.parts.layout import PARTS
from export.panoptic.parts.session import PartsSession
from export.pipeline import ExportResult
from export.plan import ExportRequest, plan_export, resolve_model
from export.predict.prediction import PanopticPrediction
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from tests.helpers.shared_artifacts import SharedArtifacts

pytestmark = pytest.mark.slow

SIZE = (128, 160)


@pytest.fixture(params=["onnx", "tflite", "executorch", "coreml"])
def exported(request: pytest.FixtureRequest, shared_artifacts: SharedArtifacts) -> ExportResult:
    """The demonstration model in parts, for each target."""
    return export_parts(request.param, shared_artifacts)


def export_parts(target: str, shared_artifacts: SharedArtifacts) -> ExportResult:
    if not installed(target_info(target)):
        pytest.skip(f"the extra {target} is not installed")
    return shared_artifacts.export(
        ExportRequest(target, checkpoint="demo", size=SIZE, form="parts")
    )


def test_nothing_is_outside_the_fast_path(exported: ExportResult) -> None:
    assert exported.placement.fallback == "none", exported.placement.outside
    assert exported.placement.partitions in (None, 1, 3), "one partition for each entry point"


def test_weights_are_stored_once(exported: ExportResult) -> None:
    half = exported.manifest["precision"] == "fp16"
    weights = exported.manifest["parameters"] * (2 if half else 4)
    # Tables of interpolation weights and the graphs themselves are the rest.
    assert weights < exported.manifest["file"]["bytes"] < 1.25 * weights + 1_000_000


def test_the_manifest_describes_the_parts(exported: ExportResult) -> None:
    manifest = json.loads(json.dumps(exported.manifest))
    assert manifest["schema"] == PARTS_SCHEMA
    entries = {entry["name"]: entry for entry in manifest["parts"]["entry_points"]}
    assert tuple(entries) == PARTS
    assert entries["core"]["inputs"] == manifest["inputs"]
    assert [entry["name"] for entry in manifest["outputs"]] == [
        "boxes", "scores", "labels", "masks", "semantic",
    ]  # fmt: skip
    assert open_artifact(exported.path).host is not None


def test_the_artifact_predicts(exported: ExportResult) -> None:
    artifact = open_artifact(exported.path)
    session = artifact.open_session(threads=1)
    assert isinstance(session, PartsSession)
    prediction = artifact.predict(make_scene(HELD_OUT_SEEDS[0], DEMO_SIZE).image)
    assert isinstance(prediction, PanopticPrediction)
    things = [s for s in prediction.panoptic.segments if s.detection is not None]
    assert len(things) >= 3
    image = artifact.preprocessing(make_scene(HELD_OUT_SEEDS[0], DEMO_SIZE).image)
    first, second = session.run(image), session.run(image)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])  # no buffer was overwritten


def damaged_copy(artifact: Path, folder: Path, change: Any) -> Path:
    """A copy of a one-file artifact with another manifest."""
    manifest = json.loads(Path(f"{artifact}.json").read_text())
    change(manifest)
    copy = folder / artifact.name
    copy.write_bytes(artifact.read_bytes())
    Path(f"{copy}.json").write_text(json.dumps(manifest))
    return copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("parts"), "schema 2 and parts do not go together"),
        (lambda m: m.update(schema=1), "schema 1 and parts do not go together"),
        (lambda m: m["parts"]["host"].update(box_batch=7), "entry points take"),
        (lambda m: m["parts"]["host"].update(image=[64, 64]), "parts are for images of"),
        (lambda m: m["parts"]["host"].pop("levels"), "levels"),
        (lambda m: m["parts"]["entry_points"].pop(), "masks"),
    ],
)
def test_damaged_manifests_are_refused_in_one_line(
    change: Any, message: str, tmp_path: Path, shared_artifacts: SharedArtifacts
) -> None:
    path = export_parts("tflite", shared_artifacts).path
    copy = damaged_copy(path, tmp_path, change)
    with pytest.raises(UserError, match=message) as caught:
        open_artifact(copy)
    assert "\n" not in str(caught.value)


def test_the_suffix_of_the_output_chooses_the_form() -> None:
    model = resolve_model(ExportRequest("onnx", checkpoint="demo", size=SIZE))

    def planned(target: str, **choices: Any) -> tuple[str | None, str]:
        plan = plan_export(ExportRequest(target, checkpoint="demo", size=SIZE, **choices), model)
        return plan.form, plan.path.name

    assert planned("onnx") == ("parts", "demo_panoptic_128x160.onnx-parts")
    assert planned("onnx", out="model.onnx") == ("whole", "model.onnx")
    assert planned("onnx", out="model.onnx-parts") == ("parts", "model.onnx-parts")
    assert planned("onnx", form="whole") == ("whole", "demo_panoptic_128x160_whole.onnx")
    assert planned("tflite", form="whole") == ("whole", "demo_panoptic_128x160_whole.tflite")
    with pytest.raises(UserError, match=r"ends in \.onnx-parts"):
        planned("onnx", form="parts", out="model.onnx")


def test_a_form_is_for_panoptic_models() -> None:
    with pytest.raises(UserError, match="--parts is for panoptic models, not semantic"):
        resolve_model(ExportRequest("onnx", task="semantic", size=SIZE, form="parts"))


@pytest.mark.parametrize(("target", "form"), [("onnx", "whole"), ("tflite", None)])
def test_nothing_is_written_into_another_artifact(
    target: str, form: str | None, tmp_path: Path
) -> None:
    """A folder with an artifact's suffix is no folder for artifacts."""
    other = tmp_path / "model.onnx-parts"
    other.mkdir()
    request = ExportRequest(target, checkpoint="demo", size=SIZE, out=other, form=form)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="ends in"):
        plan_export(request, resolve_model(request))
