"""What lvt-export writes, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import export.artifact.manifest as manifest
from export.artifact.files import manifest_path, write_manifest
from export.artifact.reader import open_artifact
from export.capabilities import TARGETS, installed
from export.parity.compare import TOLERANCES, compare
from export.pipeline import ExportResult, export_artifact
from export.plan import ExportRequest, resolve_model
from export.rewrite import rewrite
from export.session import TorchSession
from export.targets import load_target
from export.targets.onnx import target as onnx_target
from lvt.checkpoint import identify, load_model, read_checkpoint
from lvt.config import LVT, Task
from lvt.data.images import packaged_photos, read_image
from lvt.data.preprocessing import Preprocessing, fixed_size
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random, default_spec
from lvt.support.files import file_sha256
from tests.conftest import TINY
from tests.helpers.models import conversion


def photo(size: tuple[int, int]) -> np.ndarray:
    return fixed_size("semantic", size)(read_image(packaged_photos()[1]))


def test_artifact_opens_and_equals_the_reference(
    tiny_export: ExportResult, tiny_checkpoint: Path
) -> None:
    """The whole road once more, by hand: checkpoint in PyTorch against the file in its runtime."""
    artifact = open_artifact(tiny_export.path)
    checkpoint = read_checkpoint(tiny_checkpoint)
    model = load_model(checkpoint, identify(checkpoint))
    image = photo((64, 96))
    session = load_target(artifact.target).open_session(artifact.path, threads=1)
    actual = session.run(image)
    expected = TorchSession(model, artifact.spec).run(image)
    assert actual.keys() == expected.keys() == {"logits"}
    assert actual["logits"].shape == (1, 3, 16, 24)
    np.testing.assert_allclose(actual["logits"], expected["logits"], atol=1e-5)


def test_manifest_is_complete_and_true(tiny_export: ExportResult, tiny_checkpoint: Path) -> None:
    manifest = json.loads(manifest_path(tiny_export.path).read_text())
    assert manifest == json.loads(json.dumps(tiny_export.manifest))
    assert manifest["file"]["sha256"] == file_sha256(tiny_export.path)
    assert manifest["file"]["bytes"] == tiny_export.path.stat().st_size
    assert manifest["inputs"][0]["shape"] == [1, 3, 64, 96]
    assert manifest["outputs"][0]["shape"] == [1, 3, 16, 24]
    assert manifest["labels"]["names"] == ["red", "green", "blue"]
    assert manifest["parity"]["passed"]
    assert manifest["parity"]["images"] == len(packaged_photos())
    assert manifest["source"]["sha256"] == file_sha256(tiny_checkpoint)
    assert manifest["macs"]["artifact"] < manifest["macs"]["reference"]
    assert manifest["tools"]["onnxruntime"]
    assert manifest["accuracy"] is None


def test_metadata_inside_the_model_file(tiny_export: ExportResult) -> None:
    """Who gets the file without its manifest still learns how to feed it."""
    proto = onnx.load(tiny_export.path)
    entries = {entry.key: entry.value for entry in proto.metadata_props}
    assert entries["lvt.task"] == "semantic"
    spec = Preprocessing.from_dict(json.loads(entries["lvt.preprocessing"]))
    assert spec == open_artifact(tiny_export.path).preprocessing
    assert json.loads(entries["lvt.labels"])["names"] == ["red", "green", "blue"]


def test_file_holds_standard_operators_and_no_paths_of_this_machine(
    tiny_export: ExportResult,
) -> None:
    proto = onnx.load(tiny_export.path)
    assert {entry.domain for entry in proto.opset_import} <= {""}
    assert {node.domain for node in proto.graph.node} == {""}
    assert b"/lvt/" not in tiny_export.path.read_bytes()


CASES: list[tuple[ModelSpec, tuple[int, int]]] = [
    (ModelSpec("backbone", TINY), (64, 64)),
    (ModelSpec("classification", TINY, 7), (64, 64)),
    (ModelSpec("classification", TINY, 7, pooled=True), (45, 71)),
    (ModelSpec("semantic", TINY, 5, decoder_dim=24), (45, 71)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "size"), CASES, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("rewritten", [True, False], ids=["rewritten", "reference"])
def test_every_task_in_the_runtime(
    spec: ModelSpec, size: tuple[int, int], rewritten: bool, tmp_path: Path
) -> None:
    """Odd sizes too; the unrewritten export is the baseline speed is measured against."""
    model = build_random(spec, seed=2)
    path = tmp_path / "model.onnx"
    exported = rewrite(model, "onnxruntime") if rewritten else model
    onnx_target.write(conversion(exported, spec, size, "fp32", {}), path)
    image = photo(size)
    report = compare(
        TorchSession(model, spec),
        onnx_target.open_session(path),
        [image],
        spec,
        TOLERANCES["fp32"],
    )
    assert report.passed, report.failures


def test_capability_table_is_true() -> None:
    """Every target the table names can be loaded and has what the protocol asks for."""
    for info in filter(installed, TARGETS.values()):
        target = load_target(info.name)
        assert target.runtime_name()
        assert info.suffix.startswith(".")


def test_unwritable_place(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write to"):
        export_artifact(
            ExportRequest("onnx", out=tmp_path / "file" / "m.onnx", checkpoint=tiny_checkpoint)
        )


@pytest.mark.slow
def test_destination_is_what_the_user_means(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A folder that is not there yet is a folder; a wrong suffix is a mistake."""
    folder = tmp_path / "new"
    result = export_artifact(ExportRequest("onnx", out=folder, checkpoint=tiny_checkpoint))
    assert result.path.parent == folder
    with pytest.raises(UserError, match=r"ends in \.onnx"):
        export_artifact(
            ExportRequest("onnx", out=tmp_path / "m.tflite", checkpoint=tiny_checkpoint)
        )


@pytest.mark.slow
def test_recursion_depth_of_a_described_checkpoint_can_be_changed(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """--preset must not be ignored where the file names its own model."""
    request = ExportRequest("onnx", out=tmp_path, checkpoint=tiny_checkpoint, preset="lvt_r3")
    result = export_artifact(request)
    assert result.manifest["model"]["backbone"]["recursion"] == 3
    assert "_r3" in result.path.name


def test_size_must_come_from_somewhere(tmp_path: Path) -> None:
    """The error names the flag to give."""
    path = tmp_path / "backbone.pth"
    torch.save(build_random(ModelSpec("backbone", LVT)).state_dict(), path)
    with pytest.raises(UserError, match="give --size HxW"):
        export_artifact(ExportRequest("onnx", checkpoint=path))
    with pytest.raises(UserError, match="at least 25 pixels"):
        export_artifact(ExportRequest("onnx", checkpoint=path, size=(24, 64)))


def test_pixels_are_refused_where_no_file_takes_them(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """Else the manifest of an ONNX file would promise a normalisation that the file lacks."""
    request = ExportRequest("onnx", out=tmp_path, checkpoint=tiny_checkpoint, pixels=True)
    with pytest.raises(UserError, match="--pixels is for coreml only"):
        export_artifact(request)


@pytest.mark.parametrize(
    "breakage", ["no manifest", "other file", "not json", "old schema", "incomplete"]
)
def test_artifacts_that_do_not_fit_their_manifest(
    tiny_export: ExportResult, tmp_path: Path, breakage: str
) -> None:
    path = tmp_path / tiny_export.path.name
    path.write_bytes(tiny_export.path.read_bytes())
    manifest = dict(tiny_export.manifest)
    if breakage == "other file":
        path.write_bytes(path.read_bytes() + b"\0")
    elif breakage == "old schema":
        manifest["schema"] = 0
    elif breakage == "incomplete":
        del manifest["model"]
    if breakage == "not json":
        manifest_path(path).write_text("{")
    elif breakage != "no manifest":
        write_manifest(manifest_path(path), manifest)
    with pytest.raises(UserError, match=r"manifest|schema|describes|incomplete"):
        open_artifact(path)


FULL_SIZE: list[tuple[Task, tuple[int, int]]] = [
    ("semantic", (224, 224)),
    ("semantic", (512, 512)),
    ("semantic", (320, 480)),
    ("semantic", (225, 301)),
    ("classification", (225, 301)),
    ("backbone", (225, 301)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "size"), FULL_SIZE, ids=str)
def test_full_size_parity(task: Task, size: tuple[int, int], tmp_path: Path) -> None:
    """SQNR >= 90 dB and error <= 1e-4 of the range, for the paper's model on real photos.

    The decoder contains the backbone, so the other tasks need the odd size only.
    """
    request = ExportRequest("onnx", out=tmp_path, task=task, size=size)
    result = export_artifact(request)
    assert result.parity.passed
    for output in result.parity.outputs:
        assert output.sqnr_db >= 90
        assert output.relative_error <= 1e-4


@pytest.mark.slow
def test_camvid_labels_agree_on_all_shared_photos(
    shared: Path, camvid_checkpoint: Path, tmp_path: Path
) -> None:
    """At least 99.9% of pixels on real street photos, with really trained weights."""
    request = ExportRequest(
        "onnx",
        out=tmp_path,
        checkpoint=camvid_checkpoint,
        images=shared / "real" / "camvid" / "val" / "images",
    )
    result = export_artifact(request)
    assert result.parity.images == len(packaged_photos()) + 51
    assert result.parity.agreement is not None
    assert result.parity.agreement >= 0.999
    assert dataclasses.asdict(TOLERANCES["fp32"])["agreement"] >= 0.999


def test_panoptic_macs_are_the_paper_s() -> None:
    """Table 5: 5.4 M parameters, 56.4 GFLOPs (at 800x1216, all 1000 proposals, 100 masks)."""
    spec = default_spec("panoptic")
    request = ExportRequest("onnx", task="panoptic", size=(800, 1216))
    job = resolve_model(request)
    assert job.spec.panoptic == spec.panoptic
    counted = manifest.reference_macs(job.reference, job.spec, job.size)
    assert counted / 1e9 == pytest.approx(56.4, abs=0.05)
    assert sum(p.numel() for p in job.reference.parameters()) == 5_349_770
