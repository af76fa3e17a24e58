"""A manifest that is damaged, or of another file, is refused by whoever opens the artifact."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from PIL import Image

from device_bench.cli import bench as bench_cli
from export.artifact.android_assets import copy_artifact
from export.artifact.files import manifest_path
from export.artifact.reader import open_artifact
from export.cli import eval as eval_cli
from export.cli import run as run_cli
from export.pipeline import ExportResult
from lvt.data.images import packaged_photos
from lvt.errors import UserError
from tests.export.test_cli import one_line_error, run
from tests.helpers.fuzz import damaged_bytes, damaged_json, fuzzing, reads_or_refuses, write_json

PHOTO = packaged_photos()[0]


def copied(source: Path, folder: Path) -> Path:
    shutil.copy(source, folder)
    shutil.copy(manifest_path(source), folder)
    return folder / source.name


@pytest.mark.slow
def test_damaged_manifests(tiny_export: ExportResult, tmp_path: Path) -> None:
    """What is read has everything that commands take from it: no KeyError minutes later."""
    model = copied(tiny_export.path, tmp_path)
    whole = json.loads(manifest_path(model).read_text("utf-8"))
    open_artifact(model)

    @fuzzing
    @given(damaged_json(whole))
    def check(content: Any) -> None:
        write_json(manifest_path(model), content)
        if reads_or_refuses(lambda: open_artifact(model)):
            artifact = open_artifact(model)
            assert len(artifact.labels.names) == artifact.spec.classes  # type: ignore[union-attr]
            assert min(artifact.size) >= 1

    check()


def test_a_checkpoint_is_no_artifact(tmp_path: Path) -> None:
    """Its user would look for a manifest that cannot exist."""
    checkpoint = tmp_path / "mine.pth"
    checkpoint.write_bytes(b"weights")
    with pytest.raises(
        UserError, match=r"is a checkpoint, .*: run lvt-export onnx --ckpt .*mine\.pth"
    ):
        open_artifact(checkpoint)


def test_damaged_bytes_of_a_manifest(tiny_export: ExportResult, tmp_path: Path) -> None:
    model = copied(tiny_export.path, tmp_path)
    whole = manifest_path(model).read_bytes()

    @fuzzing
    @given(damaged_bytes(whole, head=3000))
    def check(content: bytes) -> None:
        manifest_path(model).write_bytes(content)
        reads_or_refuses(lambda: open_artifact(model))

    check()
    manifest_path(model).write_text("[" * 100_000)
    with pytest.raises(UserError, match="not a manifest"):
        open_artifact(model)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(target="abacus"),
        lambda m: m.pop("parameters"),
        lambda m: m["macs"].pop("artifact"),
        lambda m: m["outputs"][0].update(dtype="float99"),
        lambda m: m["labels"]["names"].pop() and m["labels"]["colours"].pop(),
        lambda m: m["inputs"][0].update(shape=[1, 3, 32, 32]),
        lambda m: m["preprocessing"]["steps"][0].update(size=[10**9, 10**9]),
        lambda m: m["model"]["backbone"]["stages"][0].update(layers=10**9),
        lambda m: m.update(accuracy={"images": 3}),
    ],
    ids=["target", "parameters", "macs", "dtype", "labels", "shape", "huge", "deep", "accuracy"],
)
def test_what_consumers_need_is_checked_at_once(
    change: Callable[[dict[str, Any]], Any], tiny_export: ExportResult, tmp_path: Path
) -> None:
    model = copied(tiny_export.path, tmp_path)
    manifest = json.loads(manifest_path(model).read_text("utf-8"))
    change(manifest)
    write_json(manifest_path(model), manifest)
    with pytest.raises(UserError, match=r"onnx\.json"):
        open_artifact(model)


@pytest.fixture
def tampered(tiny_export: ExportResult, tmp_path: Path) -> Path:
    """One bit of the weights is another one; the file still loads and runs."""
    model = copied(tiny_export.path, tmp_path)
    content = bytearray(model.read_bytes())
    content[-10] ^= 1
    model.write_bytes(content)
    return model


def labelled(folder: Path) -> Path:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "images" / "a.png")
    Image.new("L", (8, 8)).save(folder / "masks" / "a.png")
    return folder


@pytest.mark.parametrize("consumer", ["run", "eval", "bench", "bench torch", "serve", "android"])
def test_every_command_notices_another_file(
    consumer: str, tampered: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    overlay = tmp_path / "o.png"
    code = {
        "run": lambda: run(run_cli.app, tampered, PHOTO, "-o", overlay),
        "eval": lambda: run(eval_cli.app, tampered, "--data", labelled(tmp_path / "data")),
        "bench": lambda: run(bench_cli.app, tampered),
        "bench torch": lambda: run(bench_cli.app, tampered, "--backend", "torch"),
        "serve": lambda: run(bench_cli.app, "serve", tampered, "--port", "0"),
        "android": lambda: run(bench_cli.app, tampered, "--backend", "android"),
    }[consumer]()
    assert code == 2
    assert "SHA-256 differs" in one_line_error(capfd)
    assert not overlay.exists()


def test_an_app_is_not_given_another_file(tampered: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    with pytest.raises(UserError, match="SHA-256 differs"):
        copy_artifact(models, tampered)
    assert list(models.iterdir()) == []
