"""`--android`: artifacts reach an app's assets whole, and nothing that the app cannot run does."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from export.artifact.files import manifest_path
from export.artifact.reader import open_artifact
from export.cli import export as cli
from export.cli.options import copy_to_app_assets
from export.pipeline import ExportResult
from lvt.support.terminal import Terminal
from tests.export.test_cli import one_line_error, run


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A Gradle project with an app module, as a checkout has it."""
    main = tmp_path / "project" / "app" / "src" / "main"
    main.mkdir(parents=True)
    (main / "AndroidManifest.xml").write_text("<manifest/>")
    return tmp_path / "project"


def assets(app: Path) -> Path:
    return app / "app" / "src" / "main" / "assets" / "models"


@pytest.mark.slow
def test_export_fills_the_app(
    app: Path, tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Twice, for the second export must replace the first and leave nothing else behind."""
    out = tmp_path / "out"
    for folder in (app, app / "app"):
        arguments = ["--ckpt", tiny_checkpoint, "--out", out, "--android", folder]
        assert run(cli.app, "onnx", *arguments) == 0
        assert "copied to the app: " in capfd.readouterr().err
        names = sorted(path.name for path in assets(app).iterdir())
        assert names == ["tiny_semantic_64x96.onnx", "tiny_semantic_64x96.onnx.json"]
        assert names == sorted(path.name for path in out.iterdir())
        open_artifact(assets(app) / names[0])  # checks the hash
        (assets(app) / names[0]).write_bytes(b"of an older export")


def test_only_what_the_app_runs(app: Path, tiny_export: ExportResult) -> None:
    """A Core ML package in an APK would be dead weight."""
    said = io.StringIO()
    other = {**tiny_export.manifest, "target": "coreml"}
    copy_to_app_assets(assets(app), [(tiny_export.path, other)], Terminal(said))
    assert not assets(app).exists()
    assert said.getvalue() == ""
    copy_to_app_assets(assets(app), [(tiny_export.path, tiny_export.manifest)], Terminal(said))
    assert manifest_path(assets(app) / tiny_export.path.name).is_file()


@pytest.mark.parametrize(
    ("target", "folder", "phrase"),
    [
        ("onnx", ".", "this is not an Android app"),
        ("onnx", "absent", "this is not an Android app"),
        ("coreml", "project", "--android supports onnx, executorch, tflite, qnn"),
    ],
)
def test_refused_before_the_work(
    target: str,
    folder: str,
    phrase: str,
    app: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """An export takes minutes; that its copy has nowhere to go is known before."""
    out = tmp_path / "out"
    where = tmp_path / folder
    code = run(cli.app, target, "--ckpt", tiny_checkpoint, "--out", out, "--android", where)
    assert code == 2
    assert phrase in one_line_error(capfd)
    assert not out.exists()
    assert not assets(app).exists()


@pytest.mark.slow
def test_something_is_in_the_way(
    app: Path, tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The artifact stays where `--out` has put it; the app has nothing of it."""
    taken = assets(app) / "tiny_semantic_64x96.onnx"
    taken.mkdir(parents=True)
    out = tmp_path / "out"
    assert run(cli.app, "onnx", "--ckpt", tiny_checkpoint, "--out", out, "--android", app) == 2
    assert "is a folder" in one_line_error(capfd)
    open_artifact(out / taken.name)
    assert list(assets(app).iterdir()) == [taken]
