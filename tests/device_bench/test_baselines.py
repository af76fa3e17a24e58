"""`lvt-bench baselines`: the models are the paper's, and go the same road as ours."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from device_bench.cli import bench as cli
from device_bench.measure.config import BenchConfig, no_progress
from device_bench.measure.preset import BenchmarkPreset
from device_bench.results.bench_report import parse_report
from device_bench.studies import baselines
from device_bench.studies.baselines import BASELINES, SIZES, Baseline, PaperFigures
from device_bench.studies.run_baselines import (
    BaselineResult,
    baseline_tables,
    baselines_json,
    run_baselines,
)
from export.artifact.manifest import reference_macs
from export.errors import ParityError
from export.reference import reference_session
from lvt.complexity import count_macs, count_parameters
from lvt.errors import UserError
from lvt.models import default_spec
from tests.export.test_cli import one_line_error, run

CONFIG = BenchConfig(
    BenchmarkPreset("short", min_runs=4, min_seconds=0.0), threads=1, min_runs=4, min_seconds=0.0
)
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs lvt-mobile[baselines]"
)


class Pyramid(nn.Module):
    """The smallest thing with a backbone's four maps."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.down = nn.Conv2d(8, 8, 2, 2)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = [self.stem(image)]
        for _ in range(3):
            maps.append(self.down(maps[-1]))
        return tuple(maps)


def pyramid() -> nn.Module:
    torch.manual_seed(0)
    return Pyramid().eval()


SMALL = Baseline("small", "backbone", pyramid, PaperFigures(0.1))


def measured(
    folder: Path, *entries: Baseline, size: tuple[int, int] | None = None
) -> list[BaselineResult]:
    return run_baselines(entries, folder, CONFIG, no_progress, size=size)


@pytest.mark.slow
def test_what_is_counted_timed_and_written(tmp_path: Path) -> None:
    first, second = measured(tmp_path, SMALL, replace(SMALL, name="again", remark="twice"))
    model = pyramid()
    assert (first.parameters, first.macs) == (
        count_parameters(model),
        count_macs(model, (1, 3, *SIZES["backbone"])),
    )
    assert first.timing.speedup is None
    assert second.timing.speedup is not None
    assert len(second.timing.samples_ms) == 4
    data = json.loads(json.dumps(baselines_json([first, second], CONFIG)))
    assert [entry["name"] for entry in data["models"]] == ["small", "again"]
    assert data["models"][0]["paper"]["parameters"] == 0.1
    assert data["models"][1]["speedup_over_lvt"]["low"] > 0
    with pytest.raises(UserError, match="not a result file"):
        parse_report(data, "baselines.json")  # one cannot be compared with an artifact's
    (table,) = baseline_tables([first, second], threads=1)
    assert table.row_count == 2


@pytest.mark.slow
def test_at_another_size_the_paper_s_counts_are_left_out(tmp_path: Path) -> None:
    entry = replace(SMALL, paper=PaperFigures(0.1, 0.2, 30.0))
    counts = []
    for size, paper in (((64, 96), PaperFigures(0.1)), (SIZES["backbone"], entry.paper)):
        (result,) = measured(tmp_path, entry, size=size)
        assert result.macs == count_macs(pyramid(), (1, 3, *size))
        (model,) = baselines_json([result], CONFIG)["models"]
        assert model["size"] == list(size)
        assert PaperFigures(**model["paper"]) == paper
        (table,) = baseline_tables([result], threads=1)
        assert f"{size[0]}x{size[1]}" in str(table.title)
        counts.append(result.macs)
    assert counts[0] < counts[1]


@pytest.mark.parametrize("size", ["500x512", "512x40"])
def test_sizes_that_not_every_model_takes(size: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(cli.app, "baselines", "--task", "backbone", "--size", size) == 2
    assert "multiples of 32" in one_line_error(capfd)


def test_a_file_that_computes_something_else_is_not_timed(tmp_path: Path) -> None:
    """A baseline that is fast because it is wrong would make LVT look slow."""

    def spoil(model: nn.Module, _size: tuple[int, int]) -> nn.Module:
        spoilt = Pyramid().eval()
        spoilt.load_state_dict({k: 1.01 * v for k, v in model.state_dict().items()})
        return spoilt

    with pytest.raises(ParityError, match="spoilt: parity failed"):
        measured(tmp_path, replace(SMALL, name="spoilt", prepare_export=spoil))


@needs_transformers
@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
def test_the_models_are_the_paper_s(baseline: Baseline) -> None:
    """Figures of another configuration beside the paper's would compare nothing."""
    model = baseline.build()
    paper = baseline.paper
    if baseline.name.startswith("DeepLab"):  # another head, as its remark says
        assert baseline.remark
        return
    panoptic = baseline.task == "panoptic"
    if paper.macs is not None:
        counted = reference_macs(model, default_spec(baseline.task), SIZES[baseline.task]) / 1e9
        rough = panoptic and baseline.remark is not None
        assert counted == pytest.approx(paper.macs, abs=0.03 * paper.macs if rough else 0.06)
    if paper.parameters is not None and (panoptic or not baseline.remark):
        assert count_parameters(model) / 1e6 == pytest.approx(paper.parameters, abs=0.06)
    with torch.inference_mode():
        outputs = model(torch.randn(1, 3, 128, 128))
    if panoptic:
        outputs = (*outputs.levels, outputs.semantic)
    maps = outputs if isinstance(outputs, tuple) else (outputs,)
    if baseline.task == "backbone":
        assert [value.shape[-1] for value in maps] == [32, 16, 8, 4]
    # Activations that die away become subnormal, and slow for no fault of the model.
    assert all(float(value.abs().max()) > 1e-3 for value in maps)


@pytest.mark.slow
@needs_transformers
def test_a_model_of_transformers_goes_the_road(tmp_path: Path) -> None:
    mobilenet = next(entry for entry in BASELINES if entry.name == "MobileNetV2")
    (result,) = measured(tmp_path, mobilenet)
    assert result.timing.samples_ms.min() > 0


@needs_transformers
def test_the_panoptic_graph_on_another_backbone_is_its_model() -> None:
    """What is exported; rewriting for LVT must leave another's backbone as it is."""
    entry = next(entry for entry in BASELINES if entry.name == "Panoptic FPN, MobileNetV2")
    model, image = entry.build(), torch.randn(1, 3, 64, 96)
    spec = default_spec("panoptic")
    with torch.inference_mode():
        *_, semantic = entry.prepare_export(model, (64, 96))(image)
    expected = reference_session(model, spec).run(image.numpy())["semantic"]
    assert torch.allclose(semantic, torch.from_numpy(expected), atol=1e-4 * expected.std())


def test_unknown_task(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(cli.app, "baselines", "--task", "depth") == 2
    assert "choose one of backbone, semantic, panoptic" in one_line_error(capfd)


def test_tasks_begin_with_lvt() -> None:
    """The first of each task is what the others are compared with."""
    for task in SIZES:
        assert "LVT" in next(entry.name for entry in BASELINES if entry.task == task)


def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(baselines.importlib.util, "find_spec", lambda _name: None)
    assert run(cli.app, "baselines") == 2
    assert "pip install 'lvt-mobile[baselines]'" in one_line_error(capfd)


def test_unknown_preset(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(cli.app, "baselines", "--preset", "slow") == 2
    assert "choose one of quick, submission" in one_line_error(capfd)
