"""The runtimes' own tools: parsing their output, and running them on a fake device.

The texts have the form that the real tools print; the figures in them are made up.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from device_bench.devices.adb.tool_output import (
    ToolOutput,
    parse_benchmark_model,
    parse_executor_runner,
    parse_perf_test,
)
from device_bench.devices.adb.tool_run import FOLDER, TOOLS, split_warmup
from export.pipeline import ExportResult
from lvt.support.command import INTERRUPTED
from tests.device_bench.adbd.fixtures import PLUG, bench
from tests.export.test_cli import one_line_error

PERF_TEST = """\
Setting intra_op_num_threads to 1
Session creation time cost: 0.217932 s
First inference time cost: 196 ms
Total inference time cost: 0.49481 s
Total inference requests: 5
Average inference time cost total: 98.961997 ms
Total inference run time: 0.494854 s
Number of inferences per second: 10.104
Avg CPU usage: 11 %
Peak working set size: 271122432 bytes
"""
PERF_TEST_STATISTICS = """\
Avg CPU usage:11
Peak working set size:271122432
Runs:5
Min Latency: 0.0958204 s
Max Latency: 0.101519 s
P50 Latency: 0.0995086 s
P90 Latency: 0.101519 s
P95 Latency: 0.101519 s
P99 Latency: 0.101519 s
P999 Latency: 0.101519 s
"""
EXECUTOR_RUNNER = """\
I 00:00:00.000417 executorch:executor_runner.cpp:198] Resetting threadpool with num threads = 4
I 00:00:00.002127 executorch:executor_runner.cpp:348] Model file /data/local/tmp/m.pte is loaded.
I 00:00:00.002140 executorch:executor_runner.cpp:358] Using method forward
I 00:00:00.061203 executorch:executor_runner.cpp:480] Model loaded in 59.112000 ms.
I 00:00:00.094011 executorch:executor_runner.cpp:640] Iteration 1 of 3: 31.250000 ms
I 00:00:00.114301 executorch:executor_runner.cpp:640] Iteration 2 of 3: 20.125000 ms
I 00:00:00.134522 executorch:executor_runner.cpp:640] Iteration 3 of 3: 20.250000 ms
I 00:00:00.134530 executorch:executor_runner.cpp:652] Model executed successfully 3 time(s) in \
71.625000 ms.
I 00:00:00.134551 executorch:executor_runner.cpp:661] 1 outputs:
OutputX 0: tensor(sizes=[1, 3], [0.25, 1.5, 20.1])
"""
BENCHMARK_MODEL = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [50]
INFO: Num threads: [4]
INFO: Graph: [/data/local/tmp/m.tflite]
INFO: Loaded model /data/local/tmp/m.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 3.57776
INFO: Initialized session in 12.934ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=15 first=49060 curr=33682 min=32825 max=49060 avg=34825.1 std=3930

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if \
exceeding 150 seconds.
INFO: count=50 first=32891 curr=33978 min=32641 max=34005 avg=33209.4 std=450 p5=32700 \
median=33187 p95=33950

INFO: Inference timings in us: Init: 12934, First inference: 49060, Warmup (avg): 34825.1, \
Inference (avg): 33209.4
INFO: Memory footprint delta from the start of the tool (MB): init=6.1875 overall=12.8672
"""


def test_perf_test() -> None:
    """Samples come from its result file, whose columns are not the same in all versions."""
    old = "".join(f"lvt-mobile,{0.09 + i / 1000},271122432,11,{i}\n" for i in range(5))
    output = parse_perf_test(PERF_TEST + old)
    assert output is not None
    assert output.samples_ms == pytest.approx([90, 91, 92, 93, 94])
    assert (output.load_ms, output.first_ms) == (pytest.approx(217.932), 196)

    new = "".join(f"lvt-mobile,1e-05,{0.08 + i / 1000},271122432,11,{i}\n" for i in range(5))
    output = parse_perf_test(PERF_TEST + new)
    assert output is not None
    assert output.samples_ms == pytest.approx([80, 81, 82, 83, 84])


def test_perf_test_without_its_file() -> None:
    """Older tools print other words for the same."""
    output = parse_perf_test(PERF_TEST + PERF_TEST_STATISTICS)
    assert output is not None
    assert output.samples_ms == []
    assert output.runs == 5
    assert output.statistics_ms == pytest.approx(
        {"mean": 98.961997, "min": 95.8204, "median": 99.5086, "p90": 101.519, "p99": 101.519}
    )
    older = PERF_TEST.replace(" total: ", ": ") + "P50 Latency is 0.0587108sec\n"
    output = parse_perf_test(older)
    assert output is not None
    assert output.statistics_ms == pytest.approx({"mean": 98.961997, "median": 58.7108})


def test_executor_runner() -> None:
    """The first iteration is the first inference; the rest are samples."""
    output = parse_executor_runner(EXECUTOR_RUNNER)
    assert output == ToolOutput(59.112, 31.25, [20.125, 20.25], {"mean": 23.875}, 3)
    logged = EXECUTOR_RUNNER.replace("I 00:00:00.", "11-22 21:50:08.1 77 77 I ExecuTorch: ")
    assert parse_executor_runner(logged) == output


def test_older_executor_runner() -> None:
    """It tells the sum only."""
    lines = [line for line in EXECUTOR_RUNNER.splitlines() if "Iteration" not in line]
    output = parse_executor_runner("\n".join(lines))
    assert output == ToolOutput(59.112, None, [], {"mean": 23.875}, 3)


def test_benchmark_model() -> None:
    """The last row is of the timed runs, not of the warm-up; older ones lack a median."""
    output = parse_benchmark_model(BENCHMARK_MODEL)
    assert output is not None
    assert (output.load_ms, output.first_ms) == pytest.approx((12.934, 49.06))
    assert output.runs == 50
    assert output.samples_ms == ()
    known = {"mean": 33.2094, "std": 0.45, "min": 32.641, "max": 34.005}
    assert output.statistics_ms == pytest.approx(known | {"median": 33.187, "p95": 33.95})
    older = BENCHMARK_MODEL.replace(" p5=32700 median=33187 p95=33950", "").replace("INFO: ", "")
    output = parse_benchmark_model(older)
    assert output is not None
    assert output.statistics_ms == pytest.approx(known)


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_other_output(tool: object) -> None:
    """Half of it, or something else, is no measurement."""
    assert isinstance(tool, type(TOOLS["onnx"]))
    for text in ("", "Segmentation fault", BENCHMARK_MODEL[:700], PERF_TEST[:40]):
        assert tool.parse(text) is None


def test_warmup_is_split_off() -> None:
    """A second of the first samples, as on the host; what never settles is shown and marked."""
    samples = [20.0] * 5 + [10.0] * 200
    timed = split_warmup(ToolOutput(1.0, 2.0, samples, {}, 205))
    assert timed.warmup.settled
    assert timed.warmup.seconds == pytest.approx(1.0)
    assert len(timed.samples_ms) + timed.warmup.runs == 205
    assert np.all(timed.samples_ms == 10)
    restless = split_warmup(ToolOutput(1.0, 2.0, [10.0 * 1.2**i for i in range(12)], {}, 12))
    assert not restless.warmup.settled
    assert len(restless.samples_ms) == 12


def tool(folder: Path, name: str, script: str) -> Path:
    """A program that says what the real one says."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}")
    return file


def test_perf_test_on_a_device(
    plug: PLUG, tiny_export: ExportResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Pushed, tried, run for long enough, and in the same table and file as everything else."""
    script = (
        'for last; do :; done; runs=$7\necho "$@" >> calls; i=0\n'
        'while [ $i -lt $runs ]; do echo "m,0.125,1000,11,$i"; i=$((i+1)); done > "$last"\n'
        f"cat <<'EOF'\n{PERF_TEST}EOF\n"
    )
    device = plug()
    binary = tool(tmp_path, "onnxruntime_perf_test", script)
    file = tmp_path / "results.json"
    arguments = ["--binary", binary, "--runs", 20, "--min-seconds", 3, "--json", file]
    assert bench(tiny_export.path, *arguments) == 0
    (entry,) = json.loads(file.read_text())["results"]
    assert entry["device"]["runner"] == "onnxruntime_perf_test"
    assert entry["latency_ms"]["median"]["value"] == pytest.approx(125)
    assert entry["latency_ms"]["runs"] >= 24  # 3 s of 125 ms
    assert entry["warmup"] == {"runs": 10, "seconds": 1.25, "settled": True}
    assert entry["cold_start"]["load_ms"] == pytest.approx(217.932)
    trial, real = device.path("/calls").read_text().splitlines()
    assert trial.startswith("-I -e cpu -m times -r 10 -x 1 -y 1 ")
    assert f"{FOLDER}/{tiny_export.path.name}" in real
    left = {path.name for path in device.path(FOLDER).iterdir()}
    assert left == {binary.name, tiny_export.path.name}
    assert "125.0 [125.0, 125.0]" in capfd.readouterr().out


def test_tool_without_samples_on_a_device(
    plug: PLUG, tiny_export: ExportResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A table of its own, with what it says and nothing else; the file keeps it too."""
    plug()
    script = f"cat <<'EOF'\n{PERF_TEST}{PERF_TEST_STATISTICS}EOF\n"
    file, page = tmp_path / "results.json", tmp_path / "page.html"
    binary = tool(tmp_path, "perf test", script)
    assert bench(tiny_export.path, "--binary", binary, "--json", file, "--html", page) == 0
    output = capfd.readouterr()
    assert "reported by the runtime's own tool, 1 thread, ms" in output.out
    assert "99.51" in output.out
    assert "reports no single inferences" in output.err
    assert "no page: " in output.err
    assert not page.exists()
    stored = json.loads(file.read_text())
    assert stored["results"] == []
    assert stored["tools"][0]["figures_ms"]["median"] == pytest.approx(99.5086)
    assert stored["tools"][0]["runs"] == 5


def test_tool_interrupted(plug: PLUG, tiny_export: ExportResult, tmp_path: Path) -> None:
    """Ctrl-C ends it on the device too."""
    device = plug()
    main = threading.main_thread().ident
    assert main is not None
    started = device.path("/started")

    def interrupt() -> None:
        while not started.exists() or not started.read_text():
            time.sleep(0.02)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    binary = tool(tmp_path, "tool", "echo $$ > started; exec sleep 60")
    assert bench(tiny_export.path, "--binary", binary) == INTERRUPTED
    thread.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert {path.name for path in device.path(FOLDER).iterdir()} == {"tool", tiny_export.path.name}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('echo "cannot open $1" >&2; exit 3', "failed on 127.0.0.1"),
        ("echo hello", "reported no times on 127.0.0.1"),
    ],
)
def test_tool_fails(
    script: str,
    message: str,
    plug: PLUG,
    tiny_export: ExportResult,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    plug()
    assert bench(tiny_export.path, "--binary", tool(tmp_path, "tool", script)) == 2
    assert message in one_line_error(capfd)
