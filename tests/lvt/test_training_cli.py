"""`lvt-train`: one error line and exit code 2 for errors that the user can correct."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lvt.training.cli import app
from tests.export.test_cli import one_line_error, run

RUN = CliRunner()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --demo, or --ckpt and --data"),
        (["--demo", "--data", "x", "--ckpt", "y"], "give either --demo, or --ckpt and --data"),
        (["--demo", "--ckpt", "y"], "starts from scratch"),
        (["--data", "x"], "--data needs --ckpt"),
        (["--demo", "--learning-rate", "3"], "between 0 and 1"),
        (["--demo", "--size", "64x64"], "trained at 256x320 only"),
        (["--demo", "--size", "large"], "not a size"),
        (["--demo", "--resume"], "no training state"),
        (["--data", "x", "--ckpt", "none.pth"], "no checkpoint at none.pth"),
    ],
)
def test_one_line_and_exit_code(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = RUN.invoke(app, ["--out", str(tmp_path / "o.safetensors"), "--verbose", *arguments])
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.startswith("error: ")
    assert result.output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_input_checkpoint_is_not_overwritten(tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    start.write_bytes(b"weights")
    given = ["--ckpt", str(start), "--data", "x", "--out", str(start), "--verbose"]
    result = RUN.invoke(app, given)
    assert result.exit_code == 2
    assert "is read by this command" in result.output
    assert start.read_bytes() == b"weights"


def test_the_name_of_a_checkpoint(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["--out", str(tmp_path / "o.pth"), "--demo", "--verbose"])
    assert result.exit_code == 2
    assert result.output.endswith("the name of a checkpoint ends in .safetensors\n")


def test_a_place_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "o.safetensors"
    log = tmp_path / "log"
    options = ["--verbose", "--demo", "--steps", "1", "--log", str(log), "--out", str(out)]
    result = RUN.invoke(app, options)
    assert result.exit_code == 2
    assert result.output.startswith("error: cannot write to")
    assert not log.exists(), "no step was taken"


def test_help_imports_nothing_heavy() -> None:
    """`--help` must not take seconds."""
    code = (
        "import sys; from lvt.training.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print('HEAVY' if {'torch', 'numpy', 'rich'} & sys.modules.keys() else 'LIGHT')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--demo" in out.stdout
    assert out.stdout.endswith("LIGHT\n")


def test_the_demonstration_model_can_be_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`--ckpt demo` works here too; only the folder is missing."""
    out, data = tmp_path / "o.safetensors", tmp_path / "absent"
    assert run(app, "--ckpt", "demo", "--data", data, "--out", out) == 2
    assert "absent is not a folder" in one_line_error(capfd)
