"""Results survive their file: what is read is what was written, whoever measured it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.devices.adb.device_info import CoreCluster, DeviceInfo
from device_bench.devices.adb.device_state import CoolDown, DeviceState
from device_bench.devices.adb.monitor import DeviceEnergy, DeviceReading
from device_bench.devices.adb.results import add_device_runs
from device_bench.devices.adb.run_types import TimedRun
from device_bench.devices.adb.runner import DeviceRun
from device_bench.devices.adb.tool_output import ToolOutput
from device_bench.devices.browser.artifact import SamplePicture, prepare_artifact
from device_bench.devices.browser.browser_info import parse_browser_info
from device_bench.devices.browser.results import make_results, parse_timings
from device_bench.measure.config import BenchConfig
from device_bench.measure.preset import PRESETS
from device_bench.measure.statistics import record_samples, speedup, summarise
from device_bench.measure.warmup import WarmUp
from device_bench.results.bench_report import BenchReport, parse_report
from device_bench.results.bench_result import BenchResult
from device_bench.results.run_info import RunInfo
from device_bench.results.tool_result import ToolResult
from export.artifact.reader import open_artifact
from export.pipeline import ExportResult
from lvt.data.images import packaged_photos, read_image
from tests.device_bench.result_files import (
    CLASSES,
    CONDITIONS,
    OVERLAY,
    PROFILE,
    result,
    result_file,
)
from tests.device_bench.test_serve import DEVICE, FIGURES

CONFIG = BenchConfig.from_preset("quick")
PARITY = {"reference": "ONNX Runtime", "passed": True, "outputs": [{"name": "logits"}]}
INFO = DeviceInfo(
    serial="s1",
    model="Pixel 8",
    soc="Tensor G3",
    android="14",
    api="34",
    build="google/shiba",
    abi="arm64-v8a",
    clusters=(CoreCluster(4, 1704, "sched_pixel"), CoreCluster(1, None, None)),
    memory_bytes=8_000_000_000,
)
STATE = DeviceState(85, 28.9, False, 2_453_000, 4200, "none", 31.5, {"BIG": 45.5}, None, 2914)


def stored(content: Any) -> Any:
    """The content after a way through a file."""
    return json.loads(json.dumps(content))


def device_run(tiny_export: ExportResult, output: TimedRun | ToolOutput) -> DeviceRun:
    return DeviceRun(
        artifact=open_artifact(tiny_export.path),
        runtime="onnxruntime",
        runner="the demo app",
        device=INFO,
        output=output,
        cooled=CoolDown(12.34, STATE, None),
        after=replace(STATE, battery_celsius=30.1),
        readings=(DeviceReading(0.5, 2914, 2.0, 28.9), DeviceReading(1.5, None, None, 30.1)),
        energy=DeviceEnergy(2.0, 10.0, "charge counter"),
        validity_issues=("the battery saver is on",),
    )


def timed_run(latency_ms: float) -> TimedRun:
    samples = record_samples(np.linspace(latency_ms, latency_ms + 1, 20))
    return TimedRun(100.0, None, WarmUp(10, 1.25, settled=True), samples, "1.27.0", "cpu")


def test_results_of_devices(tiny_export: ExportResult) -> None:
    """Two runs of the app and one of a tool without samples."""
    tool = ToolOutput(12.5, None, (), {"mean": 33.25, "p95": 33.95}, 50)
    runs = [device_run(tiny_export, output) for output in (timed_run(5.0), timed_run(9.0), tool)]
    report = add_device_runs(BenchReport(RunInfo.now(CONFIG), ()), runs)
    first, second = report.results
    for entry in (first, second):
        assert BenchResult.from_dict(stored(entry.to_dict())) == entry
    assert first.speedup is None
    assert second.speedup is not None
    assert second.device is not None
    assert second.device["clusters"][0]["max_mhz"] == 1704
    (statistics,) = report.tools
    assert ToolResult.from_dict(stored(statistics.to_dict())) == statistics
    assert BenchReport.from_dict(stored(report.to_dict())) == report
    assert report.run.environment["processor"] == "Pixel 8 (Tensor G3)"


def test_results_of_browsers(tiny_export: ExportResult) -> None:
    picture = SamplePicture("photo", read_image(packaged_photos()[0])[:64, :96])
    served = prepare_artifact(tiny_export.path, [picture])
    parity = served.compare_outputs(served.expected[0]["logits"].astype("<f4").tobytes())
    timings = parse_timings({"artifacts": [FIGURES]}, 1)
    browser = parse_browser_info(DEVICE)
    (entry,) = make_results([served], timings, [parity], browser, CONFIG, hidden=True)
    assert BenchResult.from_dict(stored(entry.to_dict())) == entry
    assert entry.parity is not None
    assert entry.parity["passed"]


latencies = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=20)


@given(
    before=latencies,
    factor=st.floats(0.1, 10),
    label=st.text(),
    parts=st.fixed_dictionaries(
        {},
        optional={
            "answer": st.sampled_from([OVERLAY, CLASSES]),
            "profile": st.just(PROFILE),
            "conditions": st.just(CONDITIONS),
            "accuracy": st.just({"images": 5, "figures": {"top-1": 71.25}, "measured_on": "x"}),
            "joules_per_inference": st.floats(0, 10),
            "arena_bytes": st.integers(0, 1 << 40),
            "postprocess_ms": st.none(),
            "device": st.just({"processor": "phone", "clusters": [{"cores": 4}]}),
            "parity": st.just(PARITY),
            "reasons": st.lists(st.text(), max_size=3),
        },
    ),
)
def test_any_result(before: list[float], factor: float, label: str, parts: dict[str, Any]) -> None:
    """Every optional part, present or absent; samples and statistics to the last bit."""
    baseline = record_samples(before)
    samples = record_samples(factor * baseline + 0.01)
    made = replace(
        BenchResult.from_dict(result(samples.tolist(), label=label, **parts)),
        samples_ms=samples,
        latency=summarise(samples),
        speedup=speedup(baseline, samples),
    )
    again = BenchResult.from_dict(stored(made.to_dict()))
    assert again == made
    assert again.to_dict() == made.to_dict()
    assert summarise(again.samples_ms) == made.latency
    assert made != replace(made, samples_ms=2 * samples)
    assert made != replace(made, label=label + "x")


def test_files_of_the_former_version() -> None:
    """Every key that a file had before is read, and written again with the same value."""
    entry = result(
        [10.0, 11.25, 10.5],
        answer=OVERLAY,
        profile=PROFILE,
        conditions=CONDITIONS,
        joules_per_inference=0.25,
        device={"processor": "phone"},
        parity=PARITY,
        stages=None,
    )
    content = result_file(entry)
    again = parse_report(content, "test").to_dict()
    written = again["results"][0]
    assert written["gmacs_per_second"] == pytest.approx(890 / 10.5)  # computed, not copied
    later = {"placement": None}
    assert written == entry | later | {"gmacs_per_second": written["gmacs_per_second"]}
    confidence = {"confidence": 0.95}
    assert again == content | {
        "results": [written],
        "protocol": content["protocol"] | confidence,
    }


def test_tools_of_a_file_are_kept() -> None:
    tool = {
        "artifact": "m.tflite",
        "backend": "tflite on Pixel 8",
        "sha256": "0" * 64,
        "tool": "benchmark_model",
        "runs": 50,
        "load_ms": 12.5,
        "first_ms": None,
        "figures_ms": {"mean": 33.25},
        "valid": False,
        "reasons": ["drift cannot be detected"],
        "device": {"serial": "s1"},
    }
    report = parse_report(result_file(result([1.0]), tools=[tool]), "test")
    assert report.to_dict()["tools"] == [tool]


def test_reading_needs_no_model_and_no_runtime() -> None:
    """A file can be shown on a machine that can run nothing, and `--help` is quick."""
    heavy = ("torch", "onnx", "onnxruntime", "executorch", "ai_edge_litert", "adbutils")
    program = (
        "import sys, device_bench.results.compare, device_bench.report.html_page\n"
        "import device_bench.report.comparison_table, device_bench.cli.bench\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_preset_is_stored() -> None:
    run = RunInfo.now(BenchConfig.from_preset("submission", threads=3, runs=5))
    again = RunInfo.from_dict(stored(run.to_dict(2)))
    assert again == run
    assert (again.preset, again.threads) == (PRESETS["submission"], 3)
