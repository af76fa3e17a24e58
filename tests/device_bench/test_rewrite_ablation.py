"""What each rewrite is worth: real files of the tiny model in ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch

from device_bench.cli.bench import app
from device_bench.measure.config import BenchConfig, no_progress
from device_bench.measure.preset import BenchmarkPreset
from device_bench.studies.rewrite_ablation import UNREWRITTEN, measure_rewrites, rewritten_types
from export.errors import ParityError
from export.plan import ExportRequest, ResolvedModel, resolve_model
from export.rewrite import rewrite_only, segformer
from export.rewrite.csa import onnxruntime as csa
from lvt.attention import CSA, RASA
from lvt.layers import Mlp
from lvt.semantic import SegFormerHead
from tests.export.test_cli import one_line_error, run

CONFIG = BenchConfig(
    BenchmarkPreset("short", min_runs=4, min_seconds=0.0), threads=1, min_runs=4, min_seconds=0.0
)
KINDS = {CSA, RASA, Mlp, SegFormerHead}


@pytest.fixture
def job(tiny_checkpoint: Path) -> ResolvedModel:
    return resolve_model(ExportRequest("onnx", checkpoint=tiny_checkpoint, size=(32, 48)))


def names_of_steps(job: ResolvedModel, folder: Path) -> list[str]:
    steps = measure_rewrites(job, folder, CONFIG, no_progress)
    assert [step.gain is None for step in steps] == [True, *[False] * (len(steps) - 1)]
    assert all(len(step.timing.samples_ms) == 4 for step in steps)
    return [step.name for step in steps]


@pytest.mark.slow
def test_each_step_rewrites_one_kind_of_module_more(job: ResolvedModel, tmp_path: Path) -> None:
    names = names_of_steps(job, tmp_path)
    assert names[0] == UNREWRITTEN
    assert set(names[1:]) == {kind.__name__ for kind in KINDS}
    for step in range(len(names)):
        graph = onnx.load(tmp_path / f"{step}.onnx").graph
        folds = any(
            node.op_type in ("Col2Im", "ScatterElements", "ScatterND") for node in graph.node
        )
        assert folds == (step < names.index("CSA"))


def test_only_the_named_types_are_rewritten(job: ResolvedModel) -> None:
    model = job.reference
    assert set(rewritten_types(model)) == KINDS
    partly = rewrite_only(model, "onnxruntime", [CSA])
    found = {type(module) for module in partly.modules()}
    assert CSA not in found
    assert {csa.StridedCSA, RASA, Mlp, SegFormerHead} <= found
    assert segformer.FoldedSegFormerHead not in found
    assert csa.BoundedSoftmax in found  # what a block knows of its CSA counts as CSA's rewrite
    assert CSA in {type(module) for module in model.modules()}
    image = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(partly(image), model(image), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_step_that_computes_something_else_is_an_error(
    job: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = csa.StridedCSA.forward
    monkeypatch.setattr(csa.StridedCSA, "forward", lambda self, x: 1.5 * forward(self, x))
    with pytest.raises(ParityError, match="CSA: parity failed"):
        names_of_steps(job, tmp_path)


@pytest.mark.slow
def test_the_command(
    tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "steps.json"
    short = ("--runs", 4, "--min-seconds", 0, "--size", "32x48", "--json", file)
    assert run(app, "rewrites", "--ckpt", tiny_checkpoint, *short) == 0
    output = capfd.readouterr()
    names = [step["name"] for step in json.loads(file.read_text())["steps"]]
    assert names[0] == UNREWRITTEN
    assert all(f"+ {name}" in output.out for name in names[1:])
    assert "not valid: CSA: 4 runs" in output.err


def test_an_unknown_task_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app, "rewrites", "--task", "depth") == 2
    assert "unknown task 'depth'" in one_line_error(capfd)
