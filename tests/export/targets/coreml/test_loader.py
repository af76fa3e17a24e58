"""Packages that cannot be read are explained."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("coremltools", reason="coremltools is not installed")

from export.targets.coreml.loader import load
from export.targets.coreml.suppress_warnings import suppress_warnings
from lvt.errors import UserError
from tests.export.targets.coreml.packages import save_linear_program


def _model_file(package: Path) -> Path:
    return package / "Data" / "com.apple.CoreML" / "model.mlmodel"


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: math.ceil(path.stat().st_size / 2)])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "does not exist"),
        (lambda p: (p / "Manifest.json").unlink(), "is not a Core ML package"),
        (lambda p: (p / "Manifest.json").write_text("{"), "its Manifest.json names no model"),
        (lambda p: (p / "Manifest.json").write_text("{}"), "its Manifest.json names no model"),
        (lambda p: _model_file(p).unlink(), "model.mlmodel is missing"),
        (lambda p: _model_file(p).write_bytes(b""), "holds no model"),
        (lambda p: _model_file(p).write_bytes(b"nonsense"), "is not a Core ML model"),
        (lambda p: _truncate(_model_file(p)), "is damaged"),
        (lambda p: shutil.rmtree(_model_file(p).parent / "weights"), "weight.bin is missing"),
        (lambda p: _truncate(_model_file(p).parent / "weights" / "weight.bin"), "is damaged"),
    ],
)
def test_unreadable_package_is_explained(
    tmp_path: Path, damage: Callable[[Path], Any], message: str
) -> None:
    package = save_linear_program(tmp_path / "a.mlpackage")
    assert (_model_file(package).parent / "weights" / "weight.bin").is_file()
    damage(package)
    with pytest.raises(UserError, match=message):
        load(package)


def test_other_kinds_of_model_are_refused(tmp_path: Path) -> None:
    from coremltools.proto import Model_pb2

    package = save_linear_program(tmp_path / "a.mlpackage")
    other = Model_pb2.Model()
    other.neuralNetwork.SetInParent()
    _model_file(package).write_bytes(other.SerializeToString())
    with pytest.raises(UserError, match="holds a neuralNetwork; only ML Programs"):
        load(package)


def test_warnings_are_suppressed_and_errors_are_not(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("coremltools")
    with suppress_warnings():
        logger.warning("no Core ML on Linux")
        logger.error("a real one")
    logger.error("afterwards")
    assert caplog.messages == ["a real one", "afterwards"]
