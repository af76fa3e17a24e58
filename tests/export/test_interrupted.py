"""Ctrl-C, a full disk and a rival: what is on disk afterwards is a whole artifact or nothing.

Each command runs in a process of its own, as a user runs it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from export.artifact.files import manifest_path, publish_artifact
from export.artifact.reader import open_artifact
from export.capabilities import TARGETS, installed
from export.cli import export as cli
from export.errors import ConversionError
from export.pipeline import ExportResult, conversion_errors
from lvt.errors import UserError
from lvt.support.files import directory_lock, publish
from lvt.support.signals import convert_interrupts
from tests.export.test_cli import PHOTO, one_line_error, run

INTERRUPTED = """
import importlib, json, os, signal, sys, tempfile
from pathlib import Path
from rich.progress import Progress

module, out, moments, *arguments = sys.argv[1:]
app = importlib.import_module(module).app
folder = Path(out)

def press(*_):
    os.kill(0, signal.SIGINT)  # as a terminal does: every process of the group

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
signal.signal(signal.SIGALRM, press)
update = Progress.update

def watched(self, *given, **told):
    update(self, *given, **told)
    if waiting and any(waiting[0] in str(value) for value in told.values()):
        waiting.clear()
        signal.setitimer(signal.ITIMER_REAL, seconds) if seconds else press()

Progress.update = watched
for text, seconds in json.loads(moments):
    waiting = [text]
    with tempfile.TemporaryFile() as told:
        os.dup2(told.fileno(), 2)
        try:
            app(arguments)
        except SystemExit as end:
            code = end.code
        told.seek(0)
        errors = told.read().decode()
    left = {path.name: path.read_text("latin-1") for path in folder.iterdir()}
    print(json.dumps([text, code, errors.splitlines()[-1:], "Traceback" in errors, left]))
"""
"""Runs a command again and again: the imports are shared, and nothing of one run may stay in the
way of the next."""

Moment = tuple[str, float]
"""What a step's announcement contains, and how many seconds later Ctrl-C is pressed."""


def interrupted(module: str, moments: list[Moment], out: Path, *arguments: object) -> None:
    """Every time a line, the exit code of an interrupt, and the folder as it was.

    A file of the name to be written is there already, as from another run.
    """
    out.parent.mkdir(exist_ok=True)
    out.write_text("of another run")
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, str(out.parent), json.dumps(moments)]
        + [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        timeout=500,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    assert [json.loads(line) for line in ended.stdout.splitlines()] == [
        [text, 130, ["interrupted"], False, {out.name: "of another run"}] for text, _ in moments
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "moments"),
    [
        # The last comes first: an import that is cut short would be in the way of those after it.
        ("onnx", [("comparing", 0), ("converting", 0.3), ("reading", 0)]),
        ("executorch", [("converting", 1.0)]),
        ("tflite", [("converting", 1.0)]),
    ],
)
def test_ctrl_c_while_exporting(
    target: str, moments: list[Moment], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    if not installed(TARGETS[target]):
        pytest.skip(f"the extra {target} is not installed")
    out = tmp_path / "out" / f"old{TARGETS[target].suffix}"
    interrupted("export.cli.export", moments, out, target, "--ckpt", tiny_checkpoint, "--out", out)


def test_ctrl_c_that_a_converter_takes_for_its_own_error() -> None:
    """`lvt-export all` would go on with the next target."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def convert() -> None:
        with conversion_errors("conversion failed"):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt as error:
                raise ImportError("half a module") from error

    try:
        with convert_interrupts(), pytest.raises((KeyboardInterrupt, ConversionError)) as caught:
            convert()
        assert caught.type is KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_ctrl_c_while_quantizing(tiny_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "old.onnx"
    arguments = ["--ckpt", tiny_checkpoint, "--calib", PHOTO.parent, "--method", "minmax"]
    interrupted(
        "quantization.cli.quantize", [("calibrating", 0.05)], out, "onnx", *arguments, "--out", out
    )


@pytest.mark.slow
def test_ctrl_c_while_training(tmp_path: Path) -> None:
    """A process that draws pictures ahead goes as well."""
    out = tmp_path / "out" / "old.safetensors"
    arguments = ["--demo", "--steps", 3, "--batch", 1, "--threads", 1]
    interrupted("lvt.training.cli", [("1/3", 0.05)], out, *arguments, "--out", out)


@pytest.mark.slow
def test_ctrl_c_while_measuring(tiny_export: ExportResult, tmp_path: Path) -> None:
    """In the process of the cold start too."""
    out = tmp_path / "out" / "old.json"
    moments = [("predictions", 0), ("cold start", 0.1)]
    arguments = [tiny_export.path, "--runs", 3, "--min-seconds", 0]
    interrupted(
        "device_bench.cli.bench",
        moments,
        out,
        *arguments,
        "--json",
        out,
        "--html",
        out.with_name("page"),
    )


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

    monkeypatch.setattr("export.artifact.files.publish", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            publish_artifact(file, tmp_path / file.name)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    open_artifact(tmp_path / file.name)


@pytest.mark.slow
def test_full_disk(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No file may grow beyond 100 kB, a third of the model: from inside, a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with an error
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100 << 10, before[1]))
        code = run(cli.app, "onnx", "--ckpt", tiny_checkpoint, "--out", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert code in (1, 2)
    assert one_line_error(capfd)
    assert list(tmp_path.iterdir()) == []


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
    with pytest.raises(UserError, match="the manifest needs this name"):
        publish_artifact(tiny_export.path, destination)
    assert not destination.exists()
    assert tiny_export.path.exists()


RIVAL = """
import sys
import threading
import time
from pathlib import Path
from export.artifact.files import manifest_path, publish_artifact
from lvt.support.files import directory_lock, atomic_folder
name, out = sys.argv[1], Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(150):
    with atomic_folder(out) as scratch:
        file = scratch / "model.onnx"
        file.write_text(f"{name} {turn}")
        manifest_path(file).write_text(f"{name} {turn}")
        publish_artifact(file, out / file.name)
    model = out / "model.onnx"
    with directory_lock(out):
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


@pytest.mark.slow
def test_an_export_waits_for_its_rival(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It publishes as the rivals above do: not while another one is between its two renames."""
    out, early = tmp_path / "same.onnx", []
    locked = threading.Event()

    def rival() -> None:
        with directory_lock(tmp_path):
            locked.set()
            while not list(tmp_path.glob(f".*/{manifest_path(out).name}")) and not out.exists():
                time.sleep(0.02)
            time.sleep(0.5)  # long enough for whoever does not wait
            early.extend(path for path in (out, manifest_path(out)) if path.exists())

    thread = threading.Thread(target=rival, daemon=True)
    thread.start()
    locked.wait()
    assert run(cli.app, "onnx", "--ckpt", tiny_checkpoint, "--out", out) == 0
    thread.join()
    assert early == []
    open_artifact(out)
