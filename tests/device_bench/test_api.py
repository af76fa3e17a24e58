"""The Python interface on real artifacts: the same results as the command, as objects."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import device_bench
from device_bench import benchmark
from device_bench.profile.run_profile import profile_report
from device_bench.report.html_page import render
from device_bench.results.bench_report import BenchReport, read_report
from export.artifact.files import manifest_path, write_manifest
from export.pipeline import ExportResult
from lvt.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tiny_export: ExportResult) -> BenchReport:
    steps: list[tuple[str, float]] = []
    made = benchmark(
        str(tiny_export.path),
        backends=["onnxruntime", "torch"],
        runs=6,
        min_seconds=0,
        progress=lambda step, share: steps.append((step, share)),
    )
    assert any(step.startswith("cold start of") for step, _ in steps)
    assert ("timing, 6 rounds", 1.0) in steps
    return made


def test_results(report: BenchReport, tiny_export: ExportResult) -> None:
    first, second = report.results
    assert [result.backend for result in report.results] == ["onnxruntime", "torch"]
    assert first.model.sha256 == tiny_export.manifest["file"]["sha256"]
    assert len(first.samples_ms) == 6
    assert first.speedup is None
    assert second.speedup is not None
    assert first.validity_issues[0] == "6 runs; preset quick requires 128"
    assert not first.valid
    assert report.run.preset.name == "quick"


def test_the_report_prints_itself(report: BenchReport) -> None:
    """What `print(report)` shows is what the command shows."""
    text = str(report)
    assert text == report.table()
    for phrase in ("1  ", "(PyTorch reference)", "speed-up [95% CI]", "memory MB", "not valid: "):
        assert phrase in text


def test_a_saved_report_is_the_same(report: BenchReport, tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    report.save(path)
    again = read_report(path)
    assert again == report
    assert render(again) == render(report)
    assert str(again) == str(report)


def test_profiles_can_be_added(report: BenchReport, tmp_path: Path) -> None:
    """Of the backends that have a profiler."""
    steps: list[str] = []
    profiled = profile_report(report, steps.append)
    first, second = profiled.results
    assert first.profile is not None
    assert first.profile.inference_ms > 0
    assert second.profile is None
    assert len(steps) == 1
    profiled.save(tmp_path / "results.json")
    assert read_report(tmp_path / "results.json") == profiled


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ({"preset": "slow"}, "choose one of quick, submission"),
        ({"backends": ["cuda"]}, "unknown backend 'cuda'"),
        ({"threads": 0}, "at least 1"),
        ({"runs": 0}, "at least 1"),
        ({"sample": "absent.png"}, "no image at absent.png"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_errors(options: dict[str, object], phrase: str, tiny_export: ExportResult) -> None:
    with pytest.raises(UserError, match=phrase):
        benchmark(tiny_export.path, **options)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"no artifact at absent\.onnx"):
        benchmark("absent.onnx")


def test_the_package_is_light_until_it_is_used() -> None:
    assert device_bench.__all__ == ["benchmark"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = device_bench.nothing
    program = "import sys, device_bench; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False False\n"


def test_random_weights_have_no_accuracy(tiny_export: ExportResult, tmp_path: Path) -> None:
    """The PyTorch backend runs random weights: the figures of the artifact are not theirs."""
    path = tmp_path / "model.onnx"
    shutil.copy(tiny_export.path, path)
    metrics = {"figures": {"mIoU": 61.2}, "per_size": {}, "per_class": {}}
    manifest = json.loads(manifest_path(tiny_export.path).read_text("utf-8"))
    manifest["accuracy"] = {"images": 5, "float": metrics, "quantized": metrics}
    write_manifest(manifest_path(path), manifest)
    report = benchmark(path, backends=("onnxruntime", "torch"), runs=2, min_seconds=0)
    artifact, reference = report.results
    assert artifact.accuracy is not None
    assert reference.accuracy is None
