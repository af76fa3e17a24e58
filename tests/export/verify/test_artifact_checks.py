"""`lvt-verify` finds what is wrong with an artifact, and passes what is right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from export.artifact.files import content_sha256, manifest_path, write_manifest
from export.artifact.reader import open_artifact
from export.cli.verify import app
from export.pipeline import ExportResult
from export.verify.artifact_checks import model_files, verify_artifact
from lvt.checkpoint import write_checkpoint
from lvt.models import ModelSpec, build_random
from tests.conftest import TINY
from tests.export.test_cli import one_line_error, run


@pytest.fixture
def copy(tiny_export: ExportResult, tmp_path: Path) -> Path:
    """An artifact to damage."""
    path = tmp_path / "copy.onnx"
    shutil.copy(tiny_export.path, path)
    shutil.copy(manifest_path(tiny_export.path), manifest_path(path))
    return path


def statuses(path: Path, **options: Any) -> dict[str, str]:
    return {check.name: check.status for check in verify_artifact(path, **options).checks}


def rewrite_manifest(path: Path, **entries: Any) -> None:
    """Changes the manifest and keeps the hash of the file correct."""
    manifest = json.loads(manifest_path(path).read_text("utf-8"))
    manifest |= entries
    manifest["file"]["sha256"] = content_sha256(path)
    write_manifest(manifest_path(path), manifest)


def test_a_good_artifact_passes_every_check(
    tiny_export: ExportResult, tiny_checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [tiny_export.path, manifest_path(tiny_export.path), "--ckpt", tiny_checkpoint]
    assert run(app, *arguments, "--json") == 0
    (found,) = json.loads(capfd.readouterr().out)["files"]
    assert found["passed"]
    assert {check["status"] for check in found["checks"]} == {"passed"}
    names = [check["name"] for check in found["checks"]]
    assert names == ["manifest and hash", "golden preprocessing", "runs", "outputs", "parity"]


def test_without_a_checkpoint_parity_is_not_checked(tiny_export: ExportResult) -> None:
    """Never a silent pass: the row says what is missing."""
    result = verify_artifact(tiny_export.path)
    assert result.checks[-1].name == "parity"
    assert result.checks[-1].status == "not checked"
    assert "--ckpt tiny" in result.checks[-1].detail


def test_the_demonstration_model_needs_no_checkpoint(demo_export: ExportResult) -> None:
    assert statuses(demo_export.path, count=1)["parity"] == "passed"


def test_a_changed_file_fails(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    assert run(app, copy) == 1
    assert "FAILED" in capfd.readouterr().out
    assert statuses(copy) == {"manifest and hash": "failed"}


def test_changed_preprocessing_fails(copy: Path) -> None:
    """A reader whose preprocessing differs from the exporter's must not go on."""
    manifest = json.loads(manifest_path(copy).read_text("utf-8"))
    manifest["preprocessing"]["golden"]["sha256"] = "0" * 64
    write_manifest(manifest_path(copy), manifest)
    (check,) = verify_artifact(copy).checks
    assert check.status == "failed"
    assert "golden" in check.detail


def test_changed_weights_fail_parity(copy: Path, tiny_checkpoint: Path) -> None:
    """A file with a correct hash that computes something else, and a file that does not run."""
    model = onnx.load(copy)
    largest = max(model.graph.initializer, key=lambda entry: len(entry.raw_data))
    values = onnx.numpy_helper.to_array(largest) * 1.01
    largest.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), largest.name))
    onnx.save(model, copy)
    rewrite_manifest(copy)
    assert statuses(copy, checkpoint=tiny_checkpoint)["parity"] == "failed"
    copy.write_bytes(b"no model")
    rewrite_manifest(copy)
    assert statuses(copy)["runs"] == "failed"


def test_outputs_must_be_those_of_the_manifest(copy: Path) -> None:
    (output,) = open_artifact(copy).manifest["outputs"]
    rewrite_manifest(copy, outputs=[{**output, "name": "other"}])
    assert statuses(copy)["outputs"] == "failed"


def test_int8_is_held_to_the_limits_of_its_acceptance(
    tiny_int8: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """With the limits of packaged photos there, with those of unseen pictures on the user's own."""
    assert statuses(tiny_int8, checkpoint=tiny_checkpoint)["parity"] == "passed"
    path = tmp_path / "strict.onnx"
    shutil.copy(tiny_int8, path)
    shutil.copy(manifest_path(tiny_int8), manifest_path(path))
    manifest = json.loads(manifest_path(path).read_text("utf-8"))
    unseen, _packaged = manifest["quantization"]["acceptance"]
    unseen["least_sqnr_db"] = 200.0
    write_manifest(manifest_path(path), manifest)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(pictures / "a.png")
    assert statuses(path, checkpoint=tiny_checkpoint)["parity"] == "passed"
    assert statuses(path, checkpoint=tiny_checkpoint, folder=pictures)["parity"] == "failed"
    del manifest["quantization"]["acceptance"]
    write_manifest(manifest_path(path), manifest)
    assert statuses(path, checkpoint=tiny_checkpoint)["parity"] == "not checked"


def test_another_checkpoint_is_refused(
    tiny_export: ExportResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = ModelSpec("semantic", TINY, 3, decoder_dim=24)
    other = tmp_path / "other.safetensors"
    write_checkpoint(other, build_random(spec, seed=5), spec)
    assert run(app, tiny_export.path, "--ckpt", other) == 2
    assert "was not made from other.safetensors" in one_line_error(capfd)


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        ([], "at least one file"),
        (["nothing.onnx"], "no artifact at nothing.onnx"),
        (["x.onnx", "--on", "moon"], "unknown hardware 'moon'; choose one of arm"),
        (["x.onnx", "--cpu", "max"], "add --on arm"),
    ],
)
def test_misuse(arguments: list[str], phrase: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app, *arguments) == 2
    assert phrase in one_line_error(capfd)


def test_manifests_stand_for_their_files(tiny_export: ExportResult) -> None:
    """`lvt-verify out/*` names both."""
    sidecar = manifest_path(tiny_export.path)
    assert model_files([tiny_export.path, sidecar]) == [tiny_export.path]
    assert model_files([sidecar]) == [tiny_export.path]
    assert model_files([Path("lone.json")]) == [Path("lone.json")]
