"""`--on gpu`: LiteRT's own GPU accelerator, on the software devices that `make gpu` fetches.

Nothing is replaced by a stand-in: the tests compile and run what the converter wrote. They fetch
nothing and are skipped if the devices are missing.
"""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.artifact.reader import Artifact, open_artifact
from export.capabilities import PRECISIONS, TARGETS, Precision, installed
from export.cli.export import app as export_app
from export.cli.verify import app
from export.evaluation.evaluate import evaluate
from export.evaluation.labelled_data import LabelledData
from export.parity.compare import TOLERANCES
from export.pipeline import ExportResult, export_artifact
from export.plan import ExportRequest
from export.predict.predictor import SessionPredictor
from export.verify.gpu import gpu_session, verify_on_gpu
from lvt.checkpoint import CheckpointMeta, write_checkpoint
from lvt.config import Task
from lvt.models import ModelSpec, build_random
from tests.conftest import SHARED, TINY
from tests.export.test_cli import one_line_error, run
from tests.helpers.artifact_fixtures import TINY_SEMANTIC
from tests.helpers.shared_artifacts import SharedArtifacts

if not installed(TARGETS["tflite"]):
    pytest.skip("needs lvt-mobile[tflite]", allow_module_level=True)

from ai_edge_litert import schema_py_generated as schema

from export.targets.tflite import flatbuffer
from export.targets.tflite.gpu.devices import open_on_gpu
from export.targets.tflite.gpu.session import GpuError, GpuFile
from export.targets.tflite.gpu.software import software_folder

CAMVID = SHARED / "real" / "lvt_segformer_camvid.pth"
STREETS = SHARED / "real" / "camvid" / "val" / "images"
SCENES = 20

needs_devices = pytest.mark.skipif(
    not software_folder().is_dir(), reason="no software GPU here: make gpu fetches it"
)


def checkpoint(task: Task, folder: Path) -> Path:
    """A tiny model of a task; the smallest panoptic one that detects anything is `demo`."""
    if task == "panoptic":
        return Path("demo")
    path = folder / f"{task}.safetensors"
    if not path.exists():
        spec = TINY_SEMANTIC
        if task != "semantic":
            spec = ModelSpec(task, TINY, 0 if task == "backbone" else 3)
        write_checkpoint(path, build_random(spec, seed=5), spec, CheckpointMeta())
    return path


FILES: tuple[tuple[Task, Precision], ...] = (
    ("backbone", "fp32"),
    ("classification", "fp32"),
    ("semantic", "fp32"),
    ("semantic", "fp16"),
    ("panoptic", "fp32"),
    ("panoptic", "fp16"),
)
"""Files of every task, in float16 those with every kind of weight; each conversion takes long."""


class Files:
    """Artifacts, exported when they are first asked for."""

    def __init__(self, shared_artifacts: SharedArtifacts):
        self._shared = shared_artifacts

    def checkpoint(self, task: Task) -> Path:
        return self._shared.once(f"GPU {task}", partial(checkpoint, task))

    def __getitem__(self, kind: tuple[Task, Precision]) -> Path:
        task, precision = kind
        request = ExportRequest(
            "tflite",
            checkpoint=self.checkpoint(task),
            size=None if task == "panoptic" else (64, 96),
            precision=precision,
        )
        return self._shared.export(request).path


@pytest.fixture
def files(shared_artifacts: SharedArtifacts) -> Files:
    return Files(shared_artifacts)


def checks(path: Path, **options: Any) -> dict[str, tuple[str, str]]:
    """Status and detail by name."""
    found = verify_on_gpu(path, **options).checks
    return {check.name: (check.status, check.detail) for check in found}


@pytest.mark.slow
@needs_devices
@pytest.mark.parametrize(("task", "precision"), FILES)
def test_every_file_is_taken_whole_and_right(
    files: Files, task: Task, precision: Precision
) -> None:
    """Every operator on the GPU, in float32 and in float16, within the limits of the export."""
    path = files[task, precision]
    found = checks(path, checkpoint=files.checkpoint(task), count=2)
    assert {status for status, _detail in found.values()} == {"passed"}, found
    parts = ("core", "boxes", "masks") if task == "panoptic" else ()
    names = ("coverage", *parts, "CPU to GPU", "parity")
    assert list(found) == [f"{kind}: {name}" for kind in PRECISIONS for name in names]
    assert "on SwiftShader" in found["fp32: coverage"][1]
    assert "on llvmpipe" in found["fp16: coverage"][1]


@pytest.mark.slow
@needs_devices
def test_the_devices_compute_in_the_precision_that_is_asked_for(
    files: Files,
) -> None:
    """A device without float16 computes in float32, and its float16 figures mean nothing."""
    path = files["semantic", "fp32"]
    artifact = open_artifact(path)
    image = np.random.default_rng(0).standard_normal((1, 3, 64, 96)).astype(np.float32)
    outputs = {}
    for precision in PRECISIONS:
        with open_on_gpu(path, precision) as file:
            outputs[precision] = gpu_session(artifact, file).run(image)["logits"]
    rounded = np.abs(outputs["fp16"] - outputs["fp32"]).max() / np.ptp(outputs["fp32"])
    assert 1e-4 < rounded < 2e-2


@pytest.mark.slow
@needs_devices
def test_a_crash_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A table lookup in computed values ends the accelerator's process with a signal."""
    options = ("--ckpt", "demo", "--size", "128x160", "--whole", "--gpu")
    assert run(export_app, "tflite", *options, "--out", tmp_path) == 0
    shown = capfd.readouterr().out
    assert "GPU: LiteRT's GPU process crashed (SIGSEGV) while compiling" in shown
    (whole,) = tmp_path.glob("*.tflite")
    assert run(app, whole, "--on", "gpu", "--pictures", 1, "--json") == 1
    output = capfd.readouterr()
    (found,) = json.loads(output.out)["files"]
    assert not found["passed"]
    details = {check["name"]: check["detail"] for check in found["checks"]}
    assert details.keys() == {"fp32: coverage", "fp16: coverage"}
    for detail in details.values():
        assert detail.startswith("LiteRT's GPU process crashed (SIGSEGV) while compiling")
    assert "Traceback" not in output.err


def with_fused_activation(source: Path, path: Path) -> Path:
    """A file in parts as lvt-mobile 0.1 wrote it: the ReLU in the transposed convolution."""
    file = flatbuffer.read(source)
    graph = file.subgraphs[-1]
    position, operator = next(
        (index, operator)
        for index, operator in enumerate(graph.operators)
        if flatbuffer.operator_name(file, operator) == "TRANSPOSE_CONV"
    )
    operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
    operator.outputs = graph.operators.pop(position + 1).outputs
    builtin = schema.BuiltinOperator.TRANSPOSE_CONV
    operator.opcodeIndex = flatbuffer.operator_code(file, builtin, 4)
    path.write_bytes(flatbuffer.pack(file))
    return path


@pytest.mark.slow
@needs_devices
def test_refused_operators_are_named(files: Files, tmp_path: Path) -> None:
    old = with_fused_activation(files["panoptic", "fp32"], tmp_path / "old.tflite")
    with pytest.raises(GpuError, match=r"does not take the whole file; \d+ operators not on") as it:
        open_on_gpu(old, "fp32")
    assert it.value.log.refusals == (
        "TRANSPOSE_CONV: Max version supported: 3. Requested version 4",
    )


@pytest.mark.slow
@needs_devices
def test_a_process_that_dies_later_is_told(files: Files) -> None:
    with open_on_gpu(files["semantic", "fp32"], "fp32") as file:
        os.kill(file._process.pid, signal.SIGKILL)
        image = np.zeros((1, 3, 64, 96), np.float32)
        with pytest.raises(GpuError, match=r"crashed \(SIGKILL\) while running serving_default"):
            file.call("serving_default", {"image": image})


@pytest.mark.slow
@needs_devices
def test_the_manifest_says_where_the_gpu_was_checked(
    files: Files, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not checked is null, never a silent pass; --strict fails where the GPU refuses."""
    kept = open_artifact(files["semantic", "fp32"])
    assert kept.manifest["placement"]["gpu"] is None
    options = ("--ckpt", files.checkpoint("semantic"), "--size", "64x96", "--strict", "--gpu")
    assert run(export_app, "tflite", *options, "--out", tmp_path, "--json") == 0
    placement = json.loads(capfd.readouterr().out)["placement"]
    assert placement["gpu"] == {"checked_on": "SwiftShader Device (Subzero)", "problem": None}


@pytest.mark.slow
@needs_devices
def test_panoptic_quality_in_float16(files: Files) -> None:
    """The GPU's rounding moves boxes and borders; the quality must not notice it."""
    path = files["panoptic", "fp32"]
    artifact = open_artifact(path)
    on_cpu = quality(artifact, artifact.predictor())
    assert artifact.labels is not None
    with open_on_gpu(path, "fp16") as file:
        session = gpu_session(artifact, file)
        predictor = SessionPredictor(
            session, artifact.spec, artifact.labels, artifact.preprocessing, artifact.size
        )
        on_gpu = quality(artifact, predictor)
    print(f"PQ of {SCENES} scenes: {on_cpu:.2f} on the CPU, {on_gpu:.2f} on the GPU in float16")
    assert on_cpu > 80
    assert abs(on_gpu - on_cpu) <= 0.1


def quality(artifact: Artifact, predictor: SessionPredictor) -> float:
    """PQ of held-out scenes, in percent."""
    assert artifact.labels is not None
    scenes = LabelledData(demo_scenes=SCENES).open("panoptic", artifact.labels.names)
    return evaluate(predictor, scenes).figures["PQ"]


@pytest.mark.slow
@needs_devices
@pytest.mark.skipif(not CAMVID.is_file(), reason="needs ../shared/real")
def test_segformer_of_real_weights(tmp_path: Path) -> None:
    """The size and weights that the documentation has figures of."""
    request = ExportRequest("tflite", out=tmp_path, checkpoint=CAMVID, size=(352, 480))
    path = export_artifact(request).path
    found = checks(path, checkpoint=CAMVID, folder=STREETS, count=1)
    assert {status for status, _detail in found.values()} == {"passed"}, found
    assert TOLERANCES["fp16"].sqnr_db == 45


def test_refusals_come_before_anything_is_fetched(
    tiny_export: ExportResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))  # a machine without apt
    assert run(app, tiny_export.path, "--on", "gpu") == 2
    assert "--on gpu is for tflite files" in one_line_error(capfd)
    assert run(app, "--on", "gpu") == 2
    assert "the software GPU needs apt-get and dpkg-deb" in one_line_error(capfd)
    assert run(export_app, "onnx", "--gpu", "--out", tmp_path) == 2
    assert "--gpu is for tflite only" in one_line_error(capfd)
    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "text.tflite"
    path.write_text("no model")
    with pytest.raises(GpuError, match="LiteRT's GPU accelerator fails while compiling"):
        GpuFile(path, "fp32", {})
