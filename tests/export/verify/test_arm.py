"""Artifacts on emulated ARM processors: real QEMU, real arm64 wheels.

The machine is made by `make arm`, which fetches it; tests fetch nothing.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from device_bench.cli.bench import app as bench_app
from export.artifact.reader import Artifact, open_artifact
from export.capabilities import TARGETS, installed
from export.cli.verify import app
from export.parity.compare import TOLERANCES, compare
from export.pipeline import ExportResult
from export.plan import ExportRequest
from export.session import Outputs
from export.verify.arm.check import find_failures, run_emulated
from export.verify.arm.cpus import CPUS
from export.verify.arm.machine import ArmMachine, machine_folder
from export.verify.pictures import prepared_images
from lvt.data.preprocessing import fixed_size
from tests.export.test_cli import one_line_error, run
from tests.helpers.int8_model import SMALL_SPEC, in_int8, small
from tests.helpers.models import conversion
from tests.helpers.shared_artifacts import SharedArtifacts


@pytest.fixture(scope="module")
def machine() -> ArmMachine:
    if not installed(TARGETS["tflite"]) or not machine_folder().is_dir():
        pytest.skip("the emulated ARM machine is not here: make arm fetches it")
    return ArmMachine(machine_folder())


@pytest.fixture(scope="module")
def tiny_tflite(tiny_checkpoint: Path, shared_artifacts: SharedArtifacts) -> ExportResult:
    if not installed(TARGETS["tflite"]):
        pytest.skip("needs lvt-mobile[tflite]")
    return shared_artifacts.export(ExportRequest("tflite", checkpoint=tiny_checkpoint))


@pytest.mark.slow
@pytest.mark.usefixtures("machine")
def test_float_files_agree_with_this_machine_and_with_the_reference(
    tiny_export: ExportResult,
    tiny_tflite: ExportResult,
    tiny_checkpoint: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    files = (tiny_export.path, tiny_tflite.path)
    options = ("--cpu", "cortex-a53", "--ckpt", tiny_checkpoint, "--pictures", 1, "--json")
    assert run(app, *files, "--on", "arm", *options) == 0
    for found in json.loads(capfd.readouterr().out)["artifacts"]:
        assert found["passed"]
        (entry,) = found["cpus"]
        assert entry["kernels"] == "NEON"
        for report in ("against_expected", "against_reference"):
            (output,) = entry[report]["outputs"]
            # The same bits as here would mean that the processor was never emulated.
            assert output["max_abs_error"] > 0
            assert output["sqnr_db"] > 110


@pytest.mark.slow
def test_int8_kernels_of_every_processor_agree_to_the_bit(
    machine: ArmMachine, tmp_path: Path
) -> None:
    """What docs/arm.md says: only float layers make int8 files differ between processors."""
    tflite = pytest.importorskip("export.targets.tflite.target")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        image = torch.randn(1, 3, 16, 24)
    path = tmp_path / "small.tflite"
    module = in_int8(small(), image)
    tflite.write(conversion(module, SMALL_SPEC, (16, 24), "int8", {}), path)
    outputs = tflite.open_session(path, threads=1).run(image.numpy())
    manifest = {"target": "tflite", "outputs": [{"name": name} for name in outputs]}
    artifact = Artifact(path, manifest, SMALL_SPEC, fixed_size("backbone", (16, 24)), None)
    for cpu in CPUS.values():
        (emulated,) = run_emulated(artifact, machine, cpu, [image.numpy()])
        for name, value in outputs.items():
            assert len(np.unique(value)) > 20
            np.testing.assert_array_equal(emulated[name], value, err_msg=f"{cpu.name} {name}")


class _Answers:
    def __init__(self, outputs: Outputs):
        self.outputs = outputs

    def run(self, image: object) -> Outputs:
        return self.outputs


@pytest.mark.parametrize(("noise_db", "passes"), [(20.0, True), (10.0, False)])
def test_int8_may_differ_by_two_draws_of_its_own_error(
    tiny_export: ExportResult, noise_db: float, passes: bool
) -> None:
    """A kernel that is wrong (SQNR near 0) must not hide behind int8's tolerance of 18 dB."""
    own = {"outputs": [{"name": "logits", "sqnr_db": 18.0}], "agreement": {"value": 0.5}}
    real = open_artifact(tiny_export.path)
    artifact = replace(real, manifest={**real.manifest, "precision": "int8", "parity": own})
    (image,) = prepared_images(artifact, 1, None)
    values = np.random.default_rng(0).normal(size=(1, 3, 16, 24)).astype(np.float32)
    noise = np.random.default_rng(1).normal(size=values.shape) * 10 ** (-noise_db / 20)
    other = {"logits": (values + noise).astype(np.float32)}
    sessions = _Answers({"logits": values}), _Answers(other)
    report = compare(*sessions, [image], artifact.spec, TOLERANCES["fp32"])
    failures = find_failures(artifact, report, None, None)
    assert (failures == []) == passes, failures


def test_refusals_come_before_anything_is_fetched(
    tiny_export: ExportResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))  # a machine without apt
    assert run(app, tiny_export.path, "--on", "arm") == 2
    assert "needs apt-get and dpkg-deb" in one_line_error(capfd)
    assert run(app, tiny_export.path, "--on", "arm", "--cpu", "m1") == 2
    assert "unknown processor 'm1'" in one_line_error(capfd)
    copy = tmp_path / "model.pte"
    shutil.copy(tiny_export.path, copy)
    manifest = {**tiny_export.manifest, "target": "executorch"}
    (tmp_path / "model.pte.json").write_text(json.dumps(manifest))
    assert run(app, copy, "--on", "arm") == 2
    assert "not executorch" in one_line_error(capfd)
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("machine")
def test_another_checkpoint_is_no_reference(
    tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ("--ckpt", "demo", "--cpu", "cortex-a53", "--pictures", 1)
    assert run(app, tiny_export.path, "--on", "arm", *options) == 2
    assert "was not made from demo_panoptic.safetensors" in one_line_error(capfd)


def test_the_former_command_says_its_new_name(
    tiny_export: ExportResult, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(bench_app, "arm", tiny_export.path, "--cpu", "m1") == 2
    note, error = capfd.readouterr().err.splitlines()
    assert note == "note: lvt-bench arm is now lvt-verify --on arm"
    assert error.startswith("error: unknown processor 'm1'")
