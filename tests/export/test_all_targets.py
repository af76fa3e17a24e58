"""One checkpoint to every target with the commands a user types, and on from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device_bench.cli import bench as bench_cli
from device_bench.measure.backends import open_bench_target
from export.artifact.files import content_sha256, manifest_path
from export.artifact.reader import open_artifact
from export.capabilities import DEFAULT_TARGETS, installed
from export.cli import eval as eval_cli
from export.cli import export as cli
from export.cli import run as run_cli
from export.predict.prediction import SemanticPrediction
from export.targets import load_target
from lvt.data.images import packaged_photos, read_image
from lvt.errors import UserError
from tests.export.test_cli import one_line_error, run
from tests.helpers.shared_artifacts import SharedArtifacts

PHOTO = packaged_photos()[0]
SUFFIXES = [info.suffix for info in DEFAULT_TARGETS]
STEM = "tiny_semantic_64x96"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(installed(info) for info in DEFAULT_TARGETS), reason="needs lvt-mobile[all]"
    ),
]


@pytest.fixture
def folder(tiny_checkpoint: Path, shared_artifacts: SharedArtifacts) -> Path:
    """What `lvt-export all` wrote."""

    def export(folder: Path) -> Path:
        assert run(cli.app, "all", "--ckpt", tiny_checkpoint, "--out", folder) == 0
        return folder

    return shared_artifacts.once("all targets", export)


def test_every_target_is_written_with_its_manifest(folder: Path) -> None:
    names = {f"{STEM}{suffix}" for suffix in SUFFIXES}
    assert {path.name for path in folder.iterdir()} == names | {f"{name}.json" for name in names}
    for name in names:
        manifest = open_artifact(folder / name).manifest
        assert manifest["parity"]["passed"]
        assert manifest["placement"]["fallback"] == "none", name
        assert manifest["file"]["bytes"] > 50_000
    assert open_artifact(folder / f"{STEM}.tflite").size == (64, 96)
    layouts = {s: open_artifact(folder / f"{STEM}{s}").manifest["inputs"][0] for s in SUFFIXES}
    assert layouts[".tflite"]["shape"] == [1, 64, 96, 3]
    assert layouts[".pte"]["shape"] == [1, 3, 64, 96]


def test_all_targets_predict_alike(folder: Path) -> None:
    label_maps = {}
    for suffix in SUFFIXES:
        artifact = open_artifact(folder / f"{STEM}{suffix}")
        picture = read_image(PHOTO)
        session = load_target(artifact.target).open_session(artifact.path)
        outputs = session.run(artifact.preprocessing(picture))
        again = session.run(artifact.preprocessing(picture[::-1].copy()))
        assert not np.array_equal(outputs["logits"], again["logits"])
        prediction = artifact.decode(outputs, picture.shape[:2])
        assert isinstance(prediction, SemanticPrediction)
        label_maps[suffix] = prediction.label_map
    for suffix in SUFFIXES:
        assert np.mean(label_maps[suffix] == label_maps[".onnx"]) > 0.995, suffix


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_run_and_eval(
    folder: Path, suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    artifact, overlay = folder / f"{STEM}{suffix}", tmp_path / "o.png"
    assert run(run_cli.app, artifact, PHOTO, "-o", overlay, "--json") == 0
    assert sum(json.loads(capfd.readouterr().out)["shares"].values()) == pytest.approx(1)
    assert overlay.is_file()
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    Image.open(PHOTO).save(tmp_path / "images" / "a.png")
    height, width = read_image(PHOTO).shape[:2]
    Image.fromarray(np.ones((height, width), np.uint8)).save(tmp_path / "masks" / "a.png")
    assert run(eval_cli.app, artifact, "--data", tmp_path, "--json") == 0
    output = capfd.readouterr()
    assert json.loads(output.out)["images"] == 1
    assert output.err == ""


def test_bench_of_host_runtimes(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each in its own runtime, in turn, without naming one."""
    files = [folder / f"{STEM}{suffix}" for suffix in (".onnx", ".pte", ".tflite")]
    results = tmp_path / "r.json"
    arguments = ("--runs", "3", "--min-seconds", "0", "--json", results)
    assert run(bench_cli.app, *files, *arguments) == 0
    assert STEM in capfd.readouterr().out
    entries = json.loads(results.read_text())["results"]
    assert [entry["backend"] for entry in entries] == ["onnxruntime", "executorch", "tflite"]
    assert [len(entry["samples_ms"]) for entry in entries] == [3, 3, 3]


def test_core_ml_latency_is_not_made_up(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(bench_cli.app, folder / f"{STEM}.mlpackage") == 2
    assert "needs an iPhone or a Mac" in one_line_error(capfd)
    assert run(bench_cli.app, "--backend", "coreml") == 2
    assert "needs an iPhone or a Mac" in one_line_error(capfd)
    with pytest.raises(UserError, match="is for tflite, not for executorch"):
        open_bench_target(folder / f"{STEM}.tflite", "executorch")


def test_summary_has_a_row_for_each(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One target that fails does not stop the others; a file name for many targets is refused."""
    arguments = ("--ckpt", tiny_checkpoint, "--strict", "--precision", "fp32")
    out = tmp_path / "out"
    assert run(cli.app, "all", *arguments, "--out", tmp_path / "one.onnx") == 2
    assert "give a folder" in one_line_error(capfd)
    # In float32 nothing runs on the Neural Engine, and --strict says so.
    assert run(cli.app, "all", *arguments, "--out", out) == 1
    output = capfd.readouterr()
    assert "coreml: outside Neural Engine" in output.err
    for suffix in (".onnx", ".pte", ".tflite"):
        assert (out / f"{STEM}{suffix}").exists()
        assert f"{STEM}{suffix}" in output.out
    assert not list(out.glob("*.mlpackage*"))


def test_a_package_is_one_artifact(folder: Path, tmp_path: Path) -> None:
    """Core ML's format is a folder: hashed whole, replaced whole, never a plain file's place."""
    name = f"{STEM}.mlpackage"
    package = tmp_path / name
    shutil.copytree(folder / name, package)
    shutil.copy(manifest_path(folder / name), manifest_path(package))
    assert open_artifact(package).manifest["file"]["sha256"] == content_sha256(package)
    weights = next(package.rglob("weight.bin"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(UserError, match="SHA-256 differs"):
        open_artifact(package)


def test_a_place_that_is_taken_stays_as_it_was(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Told before minutes of converting, with neither manifest nor model left behind."""
    (tmp_path / "f.mlpackage").write_text("mine")
    (tmp_path / "x.onnx").mkdir()
    for target, name in (("coreml", "f.mlpackage"), ("onnx", "x.onnx")):
        out = tmp_path / name
        assert run(cli.app, target, "--ckpt", tiny_checkpoint, "--out", out) == 2
        assert "Choose another --out" in one_line_error(capfd)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.mlpackage", "x.onnx"]
    # One of several targets: nothing is begun.
    out = tmp_path / "dot.ted"
    (out / f"{STEM}.tflite").mkdir(parents=True)
    assert run(cli.app, "all", "--ckpt", tiny_checkpoint, "--out", out) == 2
    assert "Choose another --out" in one_line_error(capfd)
    assert [path.name for path in out.iterdir()] == [f"{STEM}.tflite"]


def test_a_converter_that_fails(
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One line and exit code 1; the other targets' files are there all the same."""

    def fails(*_: object) -> None:
        raise RuntimeError("no such operator\nand a page of details")

    monkeypatch.setattr(load_target("tflite"), "write", fails)
    assert run(cli.app, "tflite", "--ckpt", tiny_checkpoint, "--out", tmp_path) == 1
    error = one_line_error(capfd)
    assert "tflite: conversion failed: RuntimeError: no such operator" in error
    assert list(tmp_path.iterdir()) == []


def test_a_package_replaces_its_predecessor(tiny_checkpoint: Path, tmp_path: Path) -> None:
    package = tmp_path / "m.mlpackage"
    for _ in range(2):
        assert run(cli.app, "coreml", "--ckpt", tiny_checkpoint, "--out", package) == 0
    open_artifact(package)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        package.name,
        f"{package.name}.json",
    ]


def test_pixels_are_core_ml_s(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(cli.app, "tflite", "--ckpt", tiny_checkpoint, "--pixels", "--out", tmp_path) == 2
    assert "--pixels is for coreml only" in one_line_error(capfd)
    assert run(cli.app, "coreml", "--ckpt", "demo", "--pixels", "--out", tmp_path) == 2
    assert "padded after normalisation" in one_line_error(capfd)
    assert run(cli.app, "coreml", "--ckpt", tiny_checkpoint, "--pixels", "--out", tmp_path) == 0
    manifest = open_artifact(tmp_path / f"{STEM}_pixels.mlpackage").manifest
    assert manifest["inputs"][0]["dtype"] == "uint8"


def test_the_reference_as_it_is_runs_in_onnx_only(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for target in ("coreml", "executorch", "tflite"):
        arguments = ("--ckpt", tiny_checkpoint, "--no-rewrite", "--out", tmp_path)
        assert run(cli.app, target, *arguments) == 2
        assert "leave out --no-rewrite" in one_line_error(capfd)
    assert list(tmp_path.iterdir()) == []


def test_unknown_precision(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(cli.app, "coreml", "--task", "backbone", "--precision", "int3") == 2
    assert "choose one of fp32, fp16" in one_line_error(capfd)
