"""lvt-export and lvt-run as a user runs them: output, exit codes, and what is left on disk."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from export import pipeline as exporter
from export.artifact.reader import open_artifact
from export.cli import export as cli
from export.cli import run as run_cli
from export.errors import ParityError
from export.parity import verify
from export.pipeline import ExportResult, export_artifact
from export.plan import ExportRequest
from export.predict.prediction import SemanticPrediction
from export.predict.render import write_label_map
from export.targets import load_target
from lvt.config import LVT
from lvt.data.images import packaged_photos, read_image
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random
from lvt.support.command import command

PHOTO = packaged_photos()[0]


def run(app: typer.Typer, *arguments: object) -> int:
    """Exit code of a command, run in this process."""
    with pytest.raises(SystemExit) as caught:
        app([str(argument) for argument in arguments])
    code = caught.value.code
    return code if isinstance(code, int) else 0


@pytest.mark.slow
def test_export_then_run(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The two commands of the road, in a row."""
    assert run(cli.app, "onnx", "--ckpt", tiny_checkpoint, "--out", tmp_path) == 0
    output = capfd.readouterr()
    artifact = tmp_path / "tiny_semantic_64x96.onnx"
    assert str(artifact) in output.out
    assert "100.0000%" in output.out
    assert output.err == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == [artifact.name, f"{artifact.name}.json"]

    overlay = tmp_path / "overlay.png"
    assert run(run_cli.app, artifact, PHOTO, "-o", overlay) == 0
    assert str(overlay) in capfd.readouterr().out
    with Image.open(overlay) as picture, Image.open(PHOTO) as photo:
        assert picture.height == photo.height
        assert picture.width > photo.width


@pytest.mark.slow
def test_export_json(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a b ü.onnx"
    assert run(cli.app, "onnx", "--ckpt", tiny_checkpoint, "--out", out, "--json") == 0
    manifest = json.loads(capfd.readouterr().out)
    assert manifest["file"]["name"] == "a b ü.onnx"
    assert out.exists()


def test_run_json(
    tiny_export: ExportResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    overlay = tmp_path / "o.png"
    assert run(run_cli.app, tiny_export.path, PHOTO, "-o", overlay, "--json") == 0
    result = json.loads(capfd.readouterr().out)
    assert sum(result["shares"].values()) == pytest.approx(1)
    assert result["shares"].keys() <= {"red", "green", "blue"}


def test_run_writes_the_labels(tiny_export: ExportResult, tmp_path: Path) -> None:
    """Each pixel's class, as the documented steps give it."""
    labels = tmp_path / "labels.png"
    given = (tiny_export.path, PHOTO, "-o", tmp_path / "o.png", "--png", labels)
    assert run(run_cli.app, *given) == 0
    artifact, picture = open_artifact(tiny_export.path), read_image(PHOTO)
    outputs = load_target("onnx").open_session(artifact.path).run(artifact.preprocessing(picture))
    with Image.open(labels) as written:
        found = np.asarray(written)
    prediction = artifact.decode(outputs, picture.shape[:2])
    assert isinstance(prediction, SemanticPrediction)
    assert np.array_equal(found, prediction.label_map)


@pytest.mark.parametrize("classes", [256, 300])
def test_labels_of_many_classes(classes: int, tmp_path: Path) -> None:
    labels = np.arange(classes).reshape(2, -1)
    write_label_map(labels, tmp_path / "labels.png")
    with Image.open(tmp_path / "labels.png") as written:
        assert np.array_equal(np.asarray(written), labels)


@pytest.mark.slow
def test_classification_lists_the_best_classes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The names must belong to the classes the reference itself ranks highest."""
    spec = ModelSpec("classification", LVT, 1000)
    path = tmp_path / "lvt_imagenet.pth.tar"
    model = build_random(spec, seed=1)
    torch.save({"state_dict": model.state_dict(), "args": argparse.Namespace()}, path)
    result = export_artifact(ExportRequest("onnx", out=tmp_path, checkpoint=path, size=(64, 64)))
    assert run(run_cli.app, result.path, PHOTO, "--top", "3", "--json") == 0
    classes = json.loads(capfd.readouterr().out)["classes"]
    from export.artifact.reader import open_artifact
    from lvt.data.images import read_image
    from lvt.data.labels import imagenet_names

    image = open_artifact(result.path).preprocessing(read_image(PHOTO))
    with torch.inference_mode():
        order = model(torch.from_numpy(image))[0].argsort(descending=True)[:3].tolist()
    assert [entry["index"] for entry in classes] == order
    assert [entry["name"] for entry in classes] == [imagenet_names()[i] for i in order]


def one_line_error(capfd: pytest.CaptureFixture[str]) -> str:
    output = capfd.readouterr()
    assert "Traceback" not in output.err
    lines = output.err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["--ckpt", "absent.pth"], "no checkpoint at absent.pth"),
        (["--ckpt", "TINY", "--task", "classification"], "ask for semantic"),
        (["--ckpt", "TINY", "--task", "poetry"], "choose one of"),
        (["--ckpt", "TINY", "--precision", "w8a16"], "lvt-quantize writes it"),
        (["--ckpt", "TINY", "--precision", "fp64"], "choose one of fp32, fp16"),
        (["--ckpt", "TINY", "--size", "big"], "write HxW"),
        (["--ckpt", "TINY", "--size", "8x64"], "at least 25 pixels"),
        (["--ckpt", "TINY", "--size", "99999x99999"], "at most 16777216 pixels"),
        (["--ckpt", "TINY", "--images", "absent"], "not a folder of images"),
        (["--ckpt", "TEXT"], "not a PyTorch or safetensors checkpoint"),
        (["--preset", "lvt_r9", "--task", "semantic", "--size", "64"], "unknown preset"),
        (["--ckpt", "TINY", "--ema"], "leave out --ema"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_export_errors(
    arguments: list[str],
    phrase: str,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One line, exit code 2, and no file: not even a temporary one."""
    text = tmp_path / "notes.pth"
    text.write_text("not a model")
    names = {"TINY": str(tiny_checkpoint), "TEXT": str(text)}
    out = tmp_path / "out"
    out.mkdir()
    filled = [names.get(argument, argument) for argument in arguments]
    assert run(cli.app, "onnx", *filled, "--out", out) == 2
    assert phrase in one_line_error(capfd)
    assert list(out.iterdir()) == []


def test_parity_failure_exits_with_1(
    tiny_checkpoint: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_arguments: object) -> ExportResult:
        raise ParityError("parity failed: logits is off by 1923")

    monkeypatch.setattr(exporter, "export_artifact", fail)
    assert run(cli.app, "onnx", "--ckpt", tiny_checkpoint, "--out", tmp_path) == 1
    assert "1923" in one_line_error(capfd)


CASES = [
    "no artifact",
    "no image",
    "not an image",
    "backbone",
    "suffix",
    "folder",
    "the image",
    "the manifest",
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_run_errors(
    case: str, tiny_export: ExportResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    artifact, image, out = tiny_export.path, PHOTO, tmp_path / "o.png"
    if case == "no artifact":
        artifact = tmp_path / "absent.onnx"
    elif case == "no image":
        image = tmp_path / "absent.png"
    elif case == "not an image":
        image = tmp_path / "text.png"
        image.write_text("hello")
    elif case == "suffix":
        out = tmp_path / "o.docx"
    elif case == "folder":
        out = tmp_path
    elif case == "the image":
        out = image = Path(shutil.copy(PHOTO, tmp_path))
    elif case == "backbone":
        model = tmp_path / "b.pth"
        torch.save(build_random(ModelSpec("backbone", LVT)).state_dict(), model)
        request = ExportRequest("onnx", out=tmp_path, checkpoint=model, size=(32, 32))
        artifact = export_artifact(request).path
    more: tuple[object, ...] = ()
    if case == "the manifest":  # where the JSON beside the PNG would be
        more = ("--png", artifact.with_name(f"{artifact.name}.png"))
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    assert run(run_cli.app, artifact, image, "-o", out, *more) == 2
    said = one_line_error(capfd)
    assert case not in ("the image", "the manifest") or "is read by this command" in said
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before


@pytest.mark.slow
def test_noise_is_held_back_unless_verbose(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """torch's exporter warns about an absent torchvision; that is nobody's business here."""
    code = "import sys; from export.cli.export import app; app()"
    arguments = ["onnx", "--ckpt", str(tiny_checkpoint), "--out", str(tmp_path)]
    quiet = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert quiet.stderr.strip() == ""


COMMANDS = [
    "export.cli.export",
    "export.cli.run",
    "export.cli.eval",
    "lvt.training.cli",
    "quantization.cli.quantize",
    "device_bench.cli.bench",
]


@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_tells_its_version(module: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(importlib.import_module(module).app, "--version") == 0
    assert capfd.readouterr().out == f"lvt-mobile {version('lvt-mobile')}\n"


@pytest.mark.parametrize("module", COMMANDS)
def test_help_imports_nothing_heavy(module: str) -> None:
    """--help must answer at once; importing torch alone takes seconds."""
    code = (
        f"import sys; from {module} import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'numpy', 'rich'} & set(sys.modules)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "Usage:" in output
    assert output.strip().splitlines()[-1] == "[]"


def noisy_command(error: Exception) -> None:
    """A command in which a library writes to the descriptor itself, then something goes wrong."""
    with command(verbose=False):
        os.write(2, b"LIBRARY NOISE")
        raise error


def test_noise_is_not_shown_with_a_user_s_error(capfd: pytest.CaptureFixture[str]) -> None:
    """One line means one line, whatever a library wrote before."""
    with pytest.raises(typer.Exit):
        noisy_command(UserError("what to do"))
    assert capfd.readouterr().err == "error: what to do\n"


def test_what_the_system_refuses_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """A name that is too long, a folder that may not be read: no fault of the program."""
    with pytest.raises(typer.Exit) as caught:
        noisy_command(OSError(36, "File name too long", "x.pth"))
    assert caught.value.exit_code == 2
    assert capfd.readouterr().err == "error: x.pth: File name too long\n"
    assert run(cli.app, "onnx", "--ckpt", "x" * 5000) == 2
    assert "File name too long" in one_line_error(capfd)


def test_names_do_not_reach_the_terminal_raw(capfd: pytest.CaptureFixture[str]) -> None:
    """Keys of a foreign checkpoint may clear the screen, or be no text at all."""
    with pytest.raises(typer.Exit):
        noisy_command(UserError("clear\x1b[2J\u2028half \udcff ü"))
    assert capfd.readouterr().err == "error: clear\\x1b[2J half \\udcff ü\n"


def test_noise_is_shown_when_we_crash(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        noisy_command(ZeroDivisionError())
    assert "LIBRARY NOISE" in capfd.readouterr().err


@pytest.mark.slow
def test_interrupt_leaves_nothing(
    tiny_checkpoint: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C while parity is measured: the converted file exists, but only in scratch."""

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "compare", interrupt)
    assert run(cli.app, "onnx", "--ckpt", tiny_checkpoint, "--out", tmp_path) == 130
    assert capfd.readouterr().err.strip() == "interrupted"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_camvid_overlay_is_sensible(
    camvid_checkpoint: Path, shared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A really trained model must find the road below and most pixels right, through the CLI."""
    from export.artifact.reader import open_artifact
    from export.targets import load_target
    from lvt.data.images import list_images, read_image
    from lvt.data.metrics import confusion_matrix, mean_iou
    from lvt.postprocessing import label_map

    assert run(cli.app, "onnx", "--ckpt", camvid_checkpoint, "--out", tmp_path) == 0
    artifact = open_artifact(next(tmp_path.glob("*.onnx")))
    folder = shared / "real" / "camvid" / "val"
    photos = list_images(folder / "images")
    session = load_target("onnx").open_session(artifact.path)
    matrix = np.zeros((11, 11), np.int64)
    for path in photos:
        picture = read_image(path)
        logits = session.run(artifact.preprocessing(picture))["logits"]
        labels = label_map(logits, artifact.size, picture.shape[:2])
        truth = np.asarray(Image.open(folder / "masks" / path.name))
        matrix += confusion_matrix(labels, truth, 11)
    assert mean_iou(matrix) > 0.58  # 61.3 on the full split of 101 photos

    capfd.readouterr()
    overlay = tmp_path / "overlay.png"
    assert run(run_cli.app, artifact.path, photos[0], "-o", overlay, "--json") == 0
    shares = json.loads(capfd.readouterr().out)["shares"]
    assert shares["Road"] > 0.1
