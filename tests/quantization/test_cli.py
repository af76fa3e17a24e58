"""`lvt-quantize` as a user runs it: a tiny checkpoint and the packaged photos, every target."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.artifact.files import manifest_path
from export.artifact.reader import open_artifact
from export.capabilities import DEFAULT_TARGETS, TARGETS, installed
from export.cli import eval as eval_cli
from export.cli import run as run_cli
from export.plan import ExportRequest
from export.targets import load_target
from lvt.checkpoint import CheckpointMeta, write_checkpoint
from lvt.data.images import packaged_photos, read_image
from lvt.models import ModelSpec, build_random
from quantization.candidate import MIN_SIMULATION_SQNR_DB
from quantization.cli.quantize import app, parse_budget
from tests.conftest import TINY_ABLATION
from tests.export.test_cli import one_line_error, run
from tests.helpers.shared_artifacts import SharedArtifacts

PHOTOS = packaged_photos()
TARGETS_HERE = [
    pytest.param(
        info.name,
        marks=pytest.mark.skipif(not installed(info), reason=f"needs lvt-mobile[{info.name}]"),
    )
    for info in DEFAULT_TARGETS
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for photo in PHOTOS:
        shutil.copy(photo, folder)
    return folder


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos whose masks say nothing in particular: figures exist, and mean nothing."""
    folder = tmp_path_factory.mktemp("labelled")
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for index, photo in enumerate(PHOTOS[:2]):
        height, width = read_image(photo).shape[:2]
        Image.open(photo).convert("RGB").save(folder / "images" / f"{index}.png")
        mask = (np.arange(height * width).reshape(height, width) % 3).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{index}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS_HERE)
def test_an_int8_artifact_is_an_ordinary_one(
    target: str,
    tiny_checkpoint: Path,
    photos: Path,
    labelled: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    shared_artifacts: SharedArtifacts,
) -> None:
    suffix = TARGETS[target].suffix
    options = ("--ckpt", tiny_checkpoint, "--out", tmp_path, "--json")
    data = ("--data", labelled, "--budget", "5", "--plot", tmp_path / "blocks.png")
    assert run(app, target, *options, "--calib", photos, "--method", "mse", *data) == 0
    captured = capfd.readouterr()
    assert "only" in captured.err  # fewer pictures than needed
    manifest = json.loads(captured.out)
    path = tmp_path / f"tiny_semantic_64x96_int8{suffix}"
    artifact = open_artifact(path)
    for text in (captured.out, manifest_path(path).read_text("utf-8")):
        json.loads(text, parse_constant=pytest.fail)  # Infinity is not JSON, and phones refuse it
    assert artifact.manifest["precision"] == manifest["precision"] == "int8"
    report = manifest["quantization"]
    assert report["sqnr_db_against_program"] >= MIN_SIMULATION_SQNR_DB
    assert report["int8_share_of_macs"] > 0.5
    assert report["budget"]["value"] >= report["budget"]["allowed"]
    assert report["sensitivity_db"].keys() >= set(report["kept_float_by_sensitivity"])
    if target in ("executorch", "tflite"):  # other targets compute it without layers
        assert any("normalisation" in reason for reason in report["float_layers"].values())
    assert set(manifest["accuracy"]["float"]["per_class"]) == {"red", "green", "blue"}
    sizes = manifest["accuracy"]["quantized"]["per_size"]
    assert sizes
    assert set(sizes) == set(manifest["accuracy"]["float"]["per_size"])
    assert Image.open(tmp_path / "blocks.png").size[0] > 300

    # Close to the float model on a photo, and not the float model.
    float_file = shared_artifacts.export(ExportRequest(target, checkpoint=tiny_checkpoint)).path
    image = artifact.preprocessing(read_image(PHOTOS[0]))
    session = load_target(target).open_session(path)
    expected = load_target(target).open_session(float_file).run(image)["logits"]
    error = np.abs(session.run(image)["logits"] - expected).max() / np.ptp(expected)
    assert 1e-4 < error < 0.2
    assert run(run_cli.app, path, PHOTOS[0], "-o", tmp_path / "o.png") == 0
    assert run(eval_cli.app, path, "--data", labelled) == 0


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx", "tflite"])  # channels last, and first
def test_outlook_and_plain_attention(
    target: str, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The ablation's own modules in int8, with the default budget: the float model's answer."""
    if not installed(TARGETS[target]):
        pytest.skip(f"needs lvt-mobile[{target}]")
    spec = ModelSpec("semantic", TINY_ABLATION["volo_d0"], 5, decoder_dim=24)
    checkpoint = tmp_path / "volo.safetensors"
    write_checkpoint(checkpoint, build_random(spec, seed=3), spec, CheckpointMeta())
    options = ("--ckpt", checkpoint, "--size", "64x96", "--out", tmp_path, "--json")
    assert run(app, target, *options, "--calib", photos) == 0
    manifest = json.loads(capfd.readouterr().out)
    assert manifest["quantization"]["int8_share_of_macs"] > 0.5
    assert manifest["quantization"]["sqnr_db_against_program"] >= MIN_SIMULATION_SQNR_DB
    assert (
        manifest["parity"]["outputs"][0]["sqnr_db"] >= manifest["quantization"]["budget"]["allowed"]
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--calib", "nowhere"), "not a folder"),
        (("--calib", "{empty}"), "no images"),
        (("--calib", "{photos}", "--task", "panoptic"), "panoptic"),
        (("--calib", "{photos}", "--budget", "0.5"), "--data"),
        (("--calib", "{photos}", "--budget", "much"), "--budget"),
        (("--calib", "{photos}", "--method", "luck"), "minmax"),
        (("--calib", "{photos}", "--data", "{photos}"), "masks"),
        (("--calib", "{photos}", "--demo-scenes", "3"), "demonstration"),
        (("--calib", "{photos}", "--weights-only"), "--weights-only"),
        (("--calib", "{photos}", "--plot", "a.txt"), ".png"),
        (("--calib", "{photos}", "--weights-only", "--precision", "int8"), "leave out --precision"),
        (("--calib", "{photos}", "--integer-io"), "tflite with --precision w8a8 only"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_options_are_one_line_and_leave_no_file(
    arguments: tuple[str, ...],
    says: str,
    tiny_checkpoint: Path,
    photos: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    out.mkdir()
    options = [a.format(photos=photos, empty=empty) for a in arguments]
    assert run(app, "onnx", "--ckpt", tiny_checkpoint, "--out", out, *options) == 2
    assert says in one_line_error(capfd)
    assert list(out.iterdir()) == []


@pytest.mark.slow
def test_an_unknown_block_is_reported_with_the_known_blocks(
    tiny_checkpoint: Path, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ("--ckpt", tiny_checkpoint, "--calib", photos, "--out", tmp_path)
    assert run(app, "onnx", *options, "--float", "nothing", "--method", "minmax") == 2
    *_notes, error = capfd.readouterr().err.strip().splitlines()
    assert error.startswith("error: --float nothing: no such block")
    assert "decode_head" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_budget_that_cannot_be_met_leaves_no_file(
    tiny_checkpoint: Path, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Float itself has less than 200 dB against float, once products are summed otherwise."""
    options = ("--ckpt", tiny_checkpoint, "--calib", photos, "--out", tmp_path)
    assert run(app, "onnx", *options, "--budget", "200dB", "--method", "minmax") == 1
    assert "budget" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_interrupted_run_leaves_no_file(
    tiny_checkpoint: Path, photos: Path, tmp_path: Path
) -> None:
    """Ctrl-C while the file is written."""
    # A shell that starts tests in the background has them ignore Ctrl-C.
    command = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from quantization.cli.quantize import app; app()"
    )
    options = ["--ckpt", tiny_checkpoint, "--calib", photos, "--out", tmp_path, "--method", "mse"]
    process = subprocess.Popen(
        [sys.executable, "-c", command, "onnx", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors
    assert out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_fine_tuning_where_the_budget_is_missed(
    tiny_checkpoint: Path, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The budget is a little above what the ranges reach; minmax leaves 1.4 dB to learn."""
    options = ("--ckpt", tiny_checkpoint, "--calib", photos, "--method", "minmax", "--json")
    budget, reached = 18.0, 0.0
    for steps in (0, 60):
        budget_options = ("--budget", f"{budget:.2f}dB", "--qat-steps", "60", "--out", tmp_path)
        assert run(app, "onnx", *options, *budget_options) == 0
        report = json.loads(capfd.readouterr().out)["quantization"]
        assert report["qat_steps"] == steps
        assert report["budget"]["value"] >= report["budget"]["allowed"] > reached
        assert report["kept_float_by_sensitivity"] == []
        reached = report["budget"]["value"]
        budget = reached + 0.3


@pytest.mark.slow
@pytest.mark.parametrize("target", ["tflite", "coreml"])
def test_weights_only(
    target: str,
    tiny_checkpoint: Path,
    photos: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if not installed(TARGETS[target]):
        pytest.skip(f"needs lvt-mobile[{target}]")
    options = ("--ckpt", tiny_checkpoint, "--calib", photos, "--out", tmp_path)
    assert run(app, target, *options, "--method", "minmax", "--weights-only", "--json") == 0
    manifest = json.loads(capfd.readouterr().out)
    assert manifest["precision"] == "int8-weights"
    assert manifest["quantization"]["activations"] == "float"
    assert manifest["quantization"]["budget"]["value"] > 30  # dB: only weights are rounded


def test_budgets() -> None:
    assert parse_budget(None) == (None, None)
    assert parse_budget("0.5") == (0.5, None)
    assert parse_budget("25 dB") == (None, 25.0)


@pytest.mark.parametrize("option", [("--float", "backbone.backbone.0"), ("--qat-steps", "3")])
def test_weights_only_refuses_options_without_effect(
    option: tuple[str, str], tiny_checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if not installed(TARGETS["tflite"]):
        pytest.skip("needs lvt-mobile[tflite]")
    arguments = ("--ckpt", tiny_checkpoint, "--calib", "demo", "--weights-only")
    assert run(app, "tflite", *arguments, *option) == 2
    assert "leave out --float and --qat-steps" in one_line_error(capfd)
