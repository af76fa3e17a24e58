"""ONNX files load and compute the same where ONNX Runtime is as old as docs/targets.md promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.pipeline import ExportResult, export_artifact
from export.plan import ExportRequest
from export.session import Outputs
from export.targets.onnx import target
from export.targets.onnx.convert import part_path
from export.verify.arm import remote_runner
from lvt.data.metrics import sqnr_db
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from tests.helpers.old_environments import call, old_python

OLDEST = "onnxruntime==1.17.*"


def run_oldest(
    config: pytest.Config, model: Path, image: NDArray[np.float32], folder: Path
) -> Outputs:
    python = old_python(config, "onnxruntime-1.17", OLDEST, "numpy<2")
    np.savez(folder / "image.npz", **{"0/image": image})
    given, made = folder / "image.npz", folder / "outputs.npz"
    call(python, remote_runner.__file__, "onnx", model, "", given, made)
    with np.load(folder / "outputs.npz") as values:
        return {name.removeprefix("0/"): values[name] for name in values.files}


def test_float(tiny_export: ExportResult, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    shape = tiny_export.manifest["inputs"][0]["shape"]
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = target.open_session(tiny_export.path).run(image)
    for name, value in run_oldest(pytestconfig, tiny_export.path, image, tmp_path).items():
        assert sqnr_db(value, expected[name]) > 90


def test_int8(tiny_int8: Path, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    image = np.random.default_rng(0).standard_normal((1, 3, 64, 96)).astype(np.float32)
    expected = target.open_session(tiny_int8).run(image)
    for name, value in run_oldest(pytestconfig, tiny_int8, image, tmp_path).items():
        assert sqnr_db(value, expected[name]) > 25  # float layers round otherwise, then int8


@pytest.mark.slow
def test_panoptic(demo_export: ExportResult, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """One graph, with its RoiAlign; and of a model in parts the one with every kind of layer."""
    from export.artifact.reader import open_artifact

    image = open_artifact(demo_export.path).preprocessing(
        make_scene(HELD_OUT_SEEDS[0], DEMO_SIZE).image
    )
    request = ExportRequest("onnx", out=tmp_path, checkpoint="demo", form="whole")
    whole, core = export_artifact(request).path, part_path(demo_export.path, "core")
    expected = target.open_session(whole).run(image)
    assert np.count_nonzero(expected["scores"]) >= 2
    expected_maps = target.open_session(core).run(image)
    for file, values in ((whole, expected), (core, expected_maps)):
        for name, value in run_oldest(pytestconfig, file, image, tmp_path).items():
            assert sqnr_db(value, values[name]) > 90, name
