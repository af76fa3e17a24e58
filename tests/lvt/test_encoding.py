"""Names with any characters are printed in every encoding of terminals and pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.pipeline import export_artifact
from export.plan import ExportRequest
from lvt.checkpoint import CheckpointMeta, write_checkpoint
from lvt.data.images import packaged_photos
from lvt.models import build_random
from tests.helpers.artifact_fixtures import TINY_SEMANTIC

NAMES = ("[red]Sky", "Building [/] :car:", "Straße 空 🚗")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("名前")
    path = folder / "modèle.safetensors"
    meta = CheckpointMeta(NAMES, input_size=(64, 96))
    write_checkpoint(path, build_random(TINY_SEMANTIC, seed=5), TINY_SEMANTIC, meta)
    return export_artifact(ExportRequest("onnx", out=folder, checkpoint=path)).path


def run(module: str, encoding: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    code = f"from {module} import app; app()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252"])
def test_every_encoding_prints(encoding: str, artifact: Path) -> None:
    data = artifact.parent / "data"
    for name, pixels in (("images", np.zeros((8, 9, 3))), ("masks", np.indices((8, 9))[1] % 3)):
        (data / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(data / name / "a.png")
    done = run("export.cli.eval", encoding, artifact, "--data", data)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    shown = done.stdout.decode(encoding)
    assert "[red]Sky" in shown
    assert "Building [/] :car:" in shown
    assert ("Straße 空 🚗" if encoding == "utf-8" else "\\u7a7a \\ud83d\\ude97") in shown


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_json_stays_json(encoding: str, artifact: Path) -> None:
    overlay = artifact.parent / f"{encoding}.png"
    photo = packaged_photos()[0]
    done = run("export.cli.run", encoding, artifact, photo, "-o", overlay, "--json")
    result = json.loads(done.stdout.decode(encoding))
    assert result["artifact"] == str(artifact)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_errors_print_too(encoding: str, artifact: Path) -> None:
    done = run("export.cli.run", encoding, artifact.with_name("空.onnx"), packaged_photos()[0])
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"Traceback" not in done.stderr
