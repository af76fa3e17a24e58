"""Files must run where TensorFlow Lite is years old: phones keep the runtime of their apps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.capabilities import target_info
from export.plan import ExportRequest, resolve_model
from export.session import TorchSession
from lvt.data.metrics import sqnr_db
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from tests.export.targets.tflite.conftest import RunOld, TinyFiles

pytest.importorskip("litert_torch", reason="needs the extra lvt-mobile[tflite]")

from export.targets.tflite import target as tflite_target
from tests.helpers.models import conversion, whole_graph

pytestmark = pytest.mark.slow


def test_old_runtime_equals_the_reference(tiny_files: TinyFiles, run_old: RunOld) -> None:
    actual = run_old(tiny_files.fp32, tiny_files.image)
    expected = TorchSession(tiny_files.reference, tiny_files.spec).run(tiny_files.image)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert sqnr_db(actual[name], value) >= 100, name


def test_old_runtime_reads_half_weights(tiny_files: TinyFiles, run_old: RunOld) -> None:
    actual = run_old(tiny_files.fp16, tiny_files.image)
    expected = tflite_target.open_session(tiny_files.fp16).run(tiny_files.image)
    for name, value in expected.items():
        assert sqnr_db(actual[name], value) >= 100, name


def test_old_runtime_runs_the_panoptic_graph(run_old: RunOld, tmp_path: Path) -> None:
    """Top-k, suppression and RoIAlign included, on a scene with things to detect."""
    job = resolve_model(ExportRequest("tflite", checkpoint=Path("demo")))
    graph = whole_graph(job, target_info("tflite").recipe, tflite_target.roi_align)
    path = tmp_path / "demo.tflite"
    tflite_target.write(conversion(graph, job.spec, job.size, "fp32", {}), path)
    image = job.preprocessing(make_scene(HELD_OUT_SEEDS[0], DEMO_SIZE).image)
    expected = TorchSession(graph, job.spec).run(image)
    assert np.count_nonzero(expected["scores"]) >= 2
    for actual in (tflite_target.open_session(path).run(image), run_old(path, image)):
        for name, value in expected.items():
            assert sqnr_db(actual[name], value) >= 90, name
