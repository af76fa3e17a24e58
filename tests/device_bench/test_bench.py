"""lvt-bench on real artifacts in real runtimes."""

from __future__ import annotations

import base64
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device_bench.cli import bench as cli
from device_bench.measure.backends import open_bench_target
from device_bench.measure.cold_start import measure_cold_start
from device_bench.measure.config import BenchConfig
from device_bench.measure.default_model import default_model_path
from device_bench.measure.host import run_benchmark
from device_bench.measure.preset import BenchmarkPreset
from device_bench.measure.warmup import WINDOW
from device_bench.report.html_page import render
from device_bench.results.bench_report import read_report
from export.artifact.files import manifest_path
from export.artifact.reader import open_artifact
from export.capabilities import TARGETS, installed
from export.pipeline import ExportResult, export_artifact
from export.plan import ExportRequest
from export.session import Outputs
from lvt.errors import UserError
from lvt.support.files import cache_folder
from tests.export.test_cli import one_line_error, run

SHORT = BenchmarkPreset("short", min_runs=6, min_seconds=0.0)


@pytest.mark.slow
def test_two_artifacts_interleaved(
    tiny_export: ExportResult,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The table, and a result file that holds everything behind it."""
    request = ExportRequest("onnx", out=tmp_path, checkpoint=tiny_checkpoint, rewrite=False)
    plain = export_artifact(request)
    results = tmp_path / "results.json"
    arguments = [plain.path, tiny_export.path, "--runs", "8", "--min-seconds", "0"]
    page, picture = tmp_path / "report.html", tmp_path / "picture.png"
    Image.new("RGB", (48, 32), "orange").save(picture)
    outputs = ["--json", results, "--html", page, "--picture", picture, "--profile"]
    assert run(cli.app, *arguments, *outputs) == 0
    output = capfd.readouterr()
    assert "speed-up" in output.out
    assert "8 runs; preset quick requires 128" in output.err

    data = json.loads(results.read_text())
    assert data["schema"] == 2
    assert page.read_text("utf-8") == render(read_report(results))
    assert data["environment"]["cores"]
    assert data["environment"]["packages"]["onnxruntime"]
    first, second = data["results"]
    assert first["speedup_over_first"] is None
    assert second["speedup_over_first"]["low"] <= second["speedup_over_first"]["value"]
    for entry, exported in ((first, plain), (second, tiny_export)):
        assert entry["sha256"] == exported.manifest["file"]["sha256"]
        assert len(entry["samples_ms"]) == 8
        assert entry["latency_ms"]["median"]["value"] == pytest.approx(
            float(np.median(entry["samples_ms"])), abs=1e-3
        )
        assert entry["valid"] is False
        assert entry["cold_start"]["load_ms"] > 0
        assert entry["cold_start"]["memory_bytes"] > 0
        assert entry["arena_bytes"] is None  # ONNX Runtime does not tell
        assert entry["warmup"]["runs"] >= 2 * WINDOW
        assert entry["precision"] == "fp32"
        assert entry["postprocess_ms"] > 0
        assert entry["preprocess_ms"] > 0
        with Image.open(io.BytesIO(base64.b64decode(entry["answer"]["original"]))) as asked:
            assert asked.size == (48, 32)
    for heading in ("Predictions for a sample picture", "Where the time goes"):
        assert heading in page.read_text("utf-8")


@pytest.mark.slow
def test_torch_backend_beside_onnxruntime(tiny_export: ExportResult) -> None:
    """The reference itself can be measured; its MACs are those of the reference."""
    both = [open_bench_target(tiny_export.path, name) for name in ("torch", "onnxruntime")]
    results = run_benchmark(both, BenchConfig(SHORT, threads=1, min_runs=6, min_seconds=0.0))
    assert [result.backend for result in results] == ["torch", "onnxruntime"]
    assert all(result.samples_ms.min() > 0 for result in results)
    # Random weights predict nothing.
    assert [result.prediction is None for result in results] == [True, False]
    macs = [result.gmacs_per_second * result.latency.median.value * 1e6 for result in results]
    manifest = tiny_export.manifest["macs"]
    assert macs == pytest.approx([manifest["reference"], manifest["artifact"]])


@pytest.mark.slow
def test_rounds_are_interleaved(tiny_export: ExportResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """Timed in blocks, a machine that slows down would decide which is faster."""
    order: list[str] = []

    class Spy:
        def __init__(self, name: str):
            self.name = name

        def run(self, image: np.ndarray) -> Outputs:
            order.append(self.name)
            time.sleep(0.001)
            return {"logits": np.zeros((1, 3, 16, 24), np.float32)}

    targets = [open_bench_target(tiny_export.path, "onnxruntime") for _ in range(2)]
    names = iter("ab")
    monkeypatch.setattr(type(targets[0]), "open_session", lambda _self, _threads: Spy(next(names)))
    run_benchmark(targets, BenchConfig(SHORT, threads=1, min_runs=20, min_seconds=0.0))
    assert "abba" * 9 in "".join(order)  # and neither always runs second


@pytest.mark.slow
def test_cold_start_is_of_a_fresh_process(tiny_export: ExportResult) -> None:
    cold = measure_cold_start(open_bench_target(tiny_export.path, "onnxruntime"), threads=1)
    assert cold.load_ms is not None
    assert cold.first_ms is not None
    assert cold.memory_bytes is not None
    assert 0 < cold.load_ms < 60_000
    assert cold.first_ms > 0
    weights = tiny_export.path.stat().st_size
    assert cold.memory_bytes > weights / 4


@pytest.mark.slow
def test_default_model_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bare command works on a fresh install, and is quick the second time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    steps: list[str] = []
    path = default_model_path("onnx", steps.append)
    assert path.parent == cache_folder() == tmp_path / "lvt-mobile"
    assert steps
    steps.clear()
    assert default_model_path("onnx", steps.append) == path
    assert steps == []
    manifest_path(path).write_text("{")  # a damaged cache mends itself
    default_model_path("onnx", steps.append)
    assert steps
    assert json.loads(manifest_path(path).read_text())["task"] == "classification"


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["absent.onnx"], "no artifact at absent.onnx"),
        (["ARTIFACT", "--backend", "cuda"], "choose one of onnxruntime, coreml"),
        (["ARTIFACT", "--preset", "slow"], "choose one of quick, submission"),
        (["--backend", "cuda"], "choose one of onnxruntime, coreml"),
        (["ARTIFACT", "--html", "FOLDER"], "is a folder"),
        (["ARTIFACT", "--html", "ARTIFACT"], "is read by this command"),
        (["ARTIFACT", "--json", "MANIFEST"], "is read by this command"),
        (["MANIFEST"], "is a manifest; give its model file"),
        (["ARTIFACT", "--picture", "absent.png"], "no image at absent.png"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors(
    arguments: list[str],
    phrase: str,
    tiny_export: ExportResult,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tiny_export.path
    places = {"ARTIFACT": path, "FOLDER": path.parent, "MANIFEST": manifest_path(path)}
    filled = [places.get(argument, argument) for argument in arguments]
    assert run(cli.app, *filled) == 2
    assert phrase in one_line_error(capfd)
    open_artifact(path)  # file and manifest are what they were


@pytest.mark.slow
@pytest.mark.skipif(not installed(TARGETS["executorch"]), reason="needs lvt-mobile[executorch]")
def test_executorch_tells_its_arena(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """The planned memory holds at least the image and the logits, which no delegate owns."""
    exported = export_artifact(
        ExportRequest("executorch", out=tmp_path, checkpoint=tiny_checkpoint)
    )
    arena = open_bench_target(exported.path).arena_bytes
    assert arena is not None
    image_and_logits = 4 * (3 * 64 * 96 + 3 * 16 * 24)
    assert image_and_logits <= arena <= 100 * image_and_logits


def test_the_bare_command_is_the_one_that_measures(capfd: pytest.CaptureFixture[str]) -> None:
    """Subcommands must not take the place of `lvt-bench ARTIFACT...`."""
    assert run(cli.app, "--help") == 0
    output = capfd.readouterr().out
    assert "[OPTIONS] [artifacts]... | COMMAND ..." in output
    for word in ("--backend", "--threads", "--html", "compare", "report"):
        assert word in output
    assert run(cli.app, "run", "absent.onnx") == run(cli.app, "absent.onnx") == 2


def test_a_model_that_does_not_run_is_one_line(tiny_export: ExportResult, tmp_path: Path) -> None:
    """The cold start runs in a child process; its failure must come back as an error."""
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny_export.path.read_bytes())
    manifest_path(path).write_text(json.dumps(tiny_export.manifest))
    target = open_bench_target(path, "onnxruntime")
    path.write_bytes(b"broken")
    with pytest.raises(UserError, match="does not run"):
        measure_cold_start(target, threads=1)
