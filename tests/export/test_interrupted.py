"""Ctrl-C, a full disk and a rival: what is on disk afterwards is a whole artifact or nothing.

Each command runs in a process of its own, as a user runs it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export import cli
from export.artifact import manifest_path, open_artifact, publish_artifact
from export.exporter import ExportResult
from lvt.errors import UserError
from lvt.files import publish
from tests.export.test_cli import one_line_error, run

INTERRUPTED_AT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
from lvt.console import Terminal
from contextlib import contextmanager
step_wanted = int(sys.argv.pop(1))
@contextmanager
def steps(self):
    seen = []
    def progress(step):
        seen.append(step)
        if len(seen) == step_wanted:
            # A moment later, in the middle of the step that was announced.
            signal.setitimer(signal.ITIMER_REAL, 0.05)
    yield progress
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
Terminal.steps = steps
from export.cli import app
app()
"""

FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with an error
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from export.cli import app
app()
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("step", [1, 2, 3], ids=["reading", "converting", "comparing"])
def test_ctrl_c(step: int, tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A line, the exit code of an interrupt, and not even a temporary file."""
    out = tmp_path / "out"
    ended = python(INTERRUPTED_AT, step, "onnx", "--ckpt", tiny_checkpoint, "--out", out)
    assert (ended.returncode, ended.stderr.strip()) == (130, "interrupted")
    assert not out.exists() or list(out.iterdir()) == []


def test_ctrl_c_between_the_two_renames(
    tiny_export: ExportResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a new file would stand beside the manifest of the one before."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    file = folder / tiny_export.path.name
    file.write_bytes(tiny_export.path.read_bytes())
    manifest_path(file).write_bytes(manifest_path(tiny_export.path).read_bytes())

    def interrupted(source: Path, destination: Path) -> None:
        publish(source, destination)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("export.artifact.publish", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            publish_artifact(file, tmp_path / file.name)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    open_artifact(tmp_path / file.name)


def test_full_disk(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """No file may grow beyond 100 kB, a third of the model: from inside, a full disk."""
    out = tmp_path / "out"
    out.mkdir()
    ended = python(FULL_DISK, 100 << 10, "onnx", "--ckpt", tiny_checkpoint, "--out", out)
    assert ended.returncode in (1, 2), ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("place", ["FILE/out", "/proc/out", "/dev/null/x.onnx"])
def test_places_that_cannot_be_written(
    place: str, tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also root, who may write to every folder, cannot write here."""
    (tmp_path / "FILE").touch()
    out = place.replace("FILE", str(tmp_path / "FILE"))
    assert run(cli.app, "onnx", "--ckpt", tiny_checkpoint, "--out", out) == 2
    assert one_line_error(capfd)


def test_a_folder_in_the_manifests_place(tiny_export: ExportResult, tmp_path: Path) -> None:
    """The model must not be put there if its manifest cannot be."""
    destination = tmp_path / tiny_export.path.name
    manifest_path(destination).mkdir()
    with pytest.raises(UserError, match="in the manifest's place"):
        publish_artifact(tiny_export.path, destination)
    assert not destination.exists()
    assert tiny_export.path.exists()


RIVAL = """
import sys
from pathlib import Path
from export.artifact import manifest_path, publish_artifact
from lvt.files import alone_in, atomic_folder
name, out = sys.argv[1], Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(300):
    with atomic_folder(out) as scratch:
        file = scratch / "model.onnx"
        file.write_text(f"{name} {turn}")
        manifest_path(file).write_text(f"{name} {turn}")
        publish_artifact(file, out / file.name)
    model = out / "model.onnx"
    with alone_in(out):
        pair = model.read_text(), manifest_path(model).read_text()
    assert pair[0] == pair[1], pair
"""


def test_rivals_in_one_folder(tmp_path: Path) -> None:
    """File and manifest are of one export, whoever was last."""
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", RIVAL, name, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    assert [rival.wait(timeout=120) for rival in rivals] == [0, 0]
    model = tmp_path / "model.onnx"
    assert model.read_text() == manifest_path(model).read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.json"]


def test_two_exports_into_one_folder(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """The same name twice at once; the manifests differ by what was asked."""
    code = "from export.cli import app; app()"
    command = [sys.executable, "-c", code, "onnx", "--ckpt", str(tiny_checkpoint), "--out"]
    name = str(tmp_path / "same.onnx")
    sizes = ("64x96", "32x64")
    exports = [subprocess.Popen([*command, name, "--size", size], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
               for size in sizes]  # fmt: skip
    for export in exports:
        _, errors = export.communicate(timeout=300)
        assert (export.returncode, errors) == (0, "")
    artifact = open_artifact(Path(name))
    from export.targets import load_target

    session = load_target("onnx").open_session(artifact.path)
    image = np.zeros((1, 3, *artifact.size), np.float32)
    assert session.run(image)["logits"].shape == tuple(artifact.manifest["outputs"][0]["shape"])
    listed = sorted(path.name for path in tmp_path.iterdir())
    assert listed == ["same.onnx", "same.onnx.json"]
    assert json.loads(manifest_path(artifact.path).read_text("utf-8"))["file"]["name"] == listed[0]
