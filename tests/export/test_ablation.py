"""The paper's other systems on every target, like LVT: parity, one partition, nothing outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.artifact.reader import open_artifact
from export.capabilities import DEFAULT_TARGETS, TargetInfo
from export.cli import export as cli
from export.parity.compare import TOLERANCES, compare
from export.reference import reference_session
from export.targets import load_target
from lvt.config import Task
from lvt.data.images import packaged_photos, read_image
from lvt.models import ModelSpec
from tests.conftest import TINY_ABLATION
from tests.export.test_capabilities import job_of, need
from tests.export.test_cli import run
from tests.helpers.models import conversion, whole_graph

CASES: list[tuple[str, Task, tuple[TargetInfo, ...]]] = [
    ("volo_d0", "semantic", DEFAULT_TARGETS),
    # All its modules are in the other two: one target with channels last, one with channels first.
    ("volo_d0_csa", "backbone", DEFAULT_TARGETS[:2]),
    ("volo_d0_csa_rasa", "backbone", DEFAULT_TARGETS),
]
CELLS = [(name, task, info) for name, task, infos in CASES for info in infos]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task", "info"), CELLS, ids=[f"{name}-{info.name}" for name, _, info in CELLS]
)
def test_every_target(name: str, task: Task, info: TargetInfo, tmp_path: Path) -> None:
    need(info)
    classes = 0 if task == "backbone" else 5
    spec = ModelSpec(task, TINY_ABLATION[name], classes, decoder_dim=24)
    job, target = job_of(spec, (64, 96)), load_target(info.name)
    precision = info.precision(task, None)
    file = tmp_path / f"model{info.suffix}"
    exported = whole_graph(job, info.recipe, target.roi_align)
    target.write(conversion(exported, spec, job.size, precision, {}), file)
    report = compare(
        reference_session(job.reference, spec),
        target.open_session(file, threads=1),
        [job.preprocessing(read_image(path)) for path in packaged_photos()[:2]],
        spec,
        TOLERANCES[precision],
    )
    assert report.passed, report.failures
    placement = target.placement(file)
    assert placement.fallback == "none", placement.outside
    assert placement.partitions in (None, 1)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["lvt_scaled", "volo_d0", "volo_d0_csa_rasa"])
def test_full_size(preset: str, tmp_path: Path) -> None:
    arguments = ("--task", "classification", "--preset", preset, "--out", tmp_path)
    assert run(cli.app, "onnx", *arguments) == 0
    artifact = open_artifact(tmp_path / f"{preset}_classification_224x224.onnx")
    assert artifact.manifest["model_name"] == preset
    assert artifact.manifest["parity"]["passed"]
