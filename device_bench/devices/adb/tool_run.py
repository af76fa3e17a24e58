"""Runs a benchmark with a runtime's own command-line tool in the device's shell."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from device_bench.devices.adb.device import AdbDevice
from device_bench.devices.adb.run_types import StopError, TimedRun
from device_bench.devices.adb.tool_output import (
    ToolOutput,
    parse_benchmark_model,
    parse_executor_runner,
    parse_perf_test,
)
from device_bench.measure.config import BenchConfig, BenchProgress
from device_bench.measure.statistics import LatencySamples, record_samples
from device_bench.measure.warmup import MIN_SECONDS, WINDOW, WarmUp, warm_up
from export.artifact.reader import Artifact
from lvt.errors import UserError

FOLDER = "/data/local/tmp/lvt-mobile"
POLL_SECONDS = 0.5
_TRIAL_RUNS = 10
_RUN_MARGIN = 1.3
"""Factor on the estimated number of runs, because the latency of a phone varies."""
_MAX_SECONDS = 1800.0
_START_SCRIPT = """
trap "" HUP
output="$1"; shift
export LD_LIBRARY_PATH="$(dirname "$1")"
exec </dev/null >/dev/null 2>&1
( "$@" >"$output" 2>&1 & echo $! >"$output.pid"; wait $!; echo $? >"$output.code" ) &
"""
"""Starts the tool in the background, so that it depends neither on the timeout nor on the
connection of one adb command."""
_POLL_SCRIPT = '[ -s "$1.code" ] && cat "$1.code"; true'
_STOP_SCRIPT = 'kill "$(cat "$1.pid")"'
_LOG_HEADING = "=== Android's log\n"
_READ_SCRIPT = """
cat "$1"
[ -f "$2" ] && cat "$2"
echo "=== Android's log"
logcat -d --pid="$(cat "$1.pid")" 2>/dev/null
true
"""


@dataclass(frozen=True)
class BenchTool:
    """A command-line tool of a runtime.

    Attributes:
        name: in its own project.
        arguments: makes its arguments from the paths of the model and of its result file.
        parse: parses its output; None: the output is of another tool, or the tool failed.
        hint: what to do if it reports no times.
    """

    name: str
    arguments: Callable[[str, str, BenchConfig], list[str]]
    parse: Callable[[str], ToolOutput | None]
    hint: str


def _perf_test_arguments(model: str, result: str, config: BenchConfig) -> list[str]:
    runs = ["-m", "times", "-r", str(config.min_runs)]
    # -I: generated input of the model's own shape
    return ["-I", "-e", "cpu", *runs, "-x", str(config.threads), "-y", "1", model, result]


def _executor_runner_arguments(model: str, _result: str, config: BenchConfig) -> list[str]:
    runs = ["--num_executions", str(config.min_runs)]
    return ["--model_path", model, *runs, "--cpu_threads", str(config.threads)]


def _benchmark_model_arguments(model: str, _result: str, config: BenchConfig) -> list[str]:
    warmup = [f"--warmup_runs={2 * WINDOW}", f"--warmup_min_secs={MIN_SECONDS:g}"]
    runs = [
        f"--num_runs={config.min_runs}",
        f"--min_secs={config.min_seconds:g}",
        f"--max_secs={_MAX_SECONDS:g}",
    ]
    return [f"--graph={model}", f"--num_threads={config.threads}", *runs, *warmup]


TOOLS = {
    "onnx": BenchTool(
        "onnxruntime_perf_test", _perf_test_arguments, parse_perf_test, "is it that tool?"
    ),
    "executorch": BenchTool(
        "executor_runner",
        _executor_runner_arguments,
        parse_executor_runner,
        "build it with EXECUTORCH_ENABLE_LOGGING=ON",
    ),
    "tflite": BenchTool(
        "benchmark_model", _benchmark_model_arguments, parse_benchmark_model, "is it that tool?"
    ),
}
"""By the target of the files that they run."""


def tool_for(artifact: Artifact) -> BenchTool:
    """The tool that runs an artifact.

    Raises:
        UserError: there is none.
    """
    if artifact.target not in TOOLS:
        raise UserError(
            f"no benchmark tool for {artifact.target} files runs on Android; there is one for "
            f"{', '.join(TOOLS)}"
        )
    if artifact.host is not None:
        raise UserError(
            f"{artifact.path.name} is in parts, which {TOOLS[artifact.target].name} cannot run one "
            "after the other: leave out --binary, which takes the app, or export with --whole"
        )
    return TOOLS[artifact.target]


def push_tool(
    device: AdbDevice, binary: Path, artifact: Artifact, progress: BenchProgress
) -> tuple[str, str]:
    """Copy tool and model to the device, unless they are there.

    Returns:
        Their paths on the device.

    Raises:
        UserError: see `AdbDevice.push`.
    """
    if device.run("mkdir", "-p", FOLDER).code:
        raise UserError(f"cannot create the folder {FOLDER} on {device.serial}")
    paths = []
    for file in (binary, artifact.path):

        def on_progress(share: float, name: str = file.name) -> None:
            progress(f"pushing {name}", share)

        on_progress(0.0)
        path = f"{FOLDER}/{file.name}"
        device.push(file, path, on_progress)
        paths.append(path)
    device.run("chmod", "755", paths[0])
    return paths[0], paths[1]


def run_tool(
    device: AdbDevice,
    tool: BenchTool,
    paths: tuple[str, str],
    config: BenchConfig,
    stop: threading.Event,
    progress: BenchProgress,
) -> TimedRun | ToolOutput:
    """Time a model with a tool; both were pushed.

    Tools that report every inference have no option for a minimum time. A short trial therefore
    estimates how many runs are needed. Their first samples become the warm-up, by the same rule as
    on this machine.

    Args:
        device: that runs the tool.
        tool: to run.
        paths: of tool and model on the device.
        config: how to measure.
        stop: set when the user interrupts the benchmark.
        progress: called with the current step.

    Returns:
        Raw samples; the tool's statistics if it reports no samples.

    Raises:
        UserError: the tool fails, or reports no times.
        StopError: `stop` was set.
    """
    progress(f"trying {tool.name}", 0.0)
    trial_config = replace(config, min_runs=_TRIAL_RUNS, min_seconds=0.0)
    trial = _run_once(device, tool, paths, trial_config, stop)
    if not trial.samples_ms:
        progress(f"timing with {tool.name}", 0.0)
        return _run_once(device, tool, paths, config, stop)
    median = float(np.median(trial.samples_ms)) / 1e3
    timed_runs = max(config.min_runs, config.min_seconds / median)
    warmup_runs = MIN_SECONDS / median + 2 * WINDOW
    runs = math.ceil(_RUN_MARGIN * (timed_runs + warmup_runs))
    progress(f"timing with {tool.name}, {runs} runs", 0.0)
    config = replace(config, min_runs=runs, min_seconds=0.0)
    return split_warmup(_run_once(device, tool, paths, config, stop))


def split_warmup(output: ToolOutput) -> TimedRun:
    """Split the samples: the first, until latency has settled, are the warm-up."""
    samples = np.array(output.samples_ms)
    remaining: Iterator[float] = iter(samples / 1e3)
    try:
        warmup = warm_up(lambda: next(remaining))
    except StopIteration:  # never settled: keep all samples; the result will not be valid
        return _timed_run(output, WarmUp(0, 0.0, settled=False), samples)
    start = min(warmup.runs, len(samples) - 1)
    return _timed_run(output, warmup, samples[start:])


def _timed_run(output: ToolOutput, warmup: WarmUp, samples: LatencySamples) -> TimedRun:
    return TimedRun(
        load_ms=output.load_ms,
        first_ms=output.first_ms,
        warmup=warmup,
        samples_ms=record_samples(samples),
        version=None,
        accelerator=None,
    )


def _run_once(
    device: AdbDevice,
    tool: BenchTool,
    paths: tuple[str, str],
    config: BenchConfig,
    stop: threading.Event,
) -> ToolOutput:
    binary, model = paths
    output = f"{FOLDER}/lvt-bench-{uuid.uuid4().hex[:12]}"
    result = f"{output}.csv"
    device.script(_START_SCRIPT, output, binary, *tool.arguments(model, result, config))
    try:
        code = _wait_for_exit(device, output, tool.name, stop)
        printed, _, logged = device.script(_READ_SCRIPT, output, result).out.partition(_LOG_HEADING)
    finally:
        device.remove(output, result, f"{output}.pid", f"{output}.code")
    if code:
        last = " ".join(printed.split())[-200:]
        raise UserError(f"{tool.name} failed on {device.serial} with code {code}: {last}")
    parsed = tool.parse(printed) or tool.parse(logged)  # ExecuTorch may log to Android only
    if parsed is None:
        raise UserError(f"{tool.name} reported no times on {device.serial}: {tool.hint}")
    return parsed


def _wait_for_exit(device: AdbDevice, output: str, name: str, stop: threading.Event) -> int:
    """Wait for the tool to end and return its exit code."""
    start = time.monotonic()
    while True:
        code = device.script(_POLL_SCRIPT, output).out.strip()
        if code:
            return int(code)
        stopped = stop.wait(POLL_SECONDS)
        if stopped or time.monotonic() - start > _MAX_SECONDS:
            device.script(_STOP_SCRIPT, output)
            if stopped:
                raise StopError
            raise UserError(f"{name} takes more than {_MAX_SECONDS:.0f} s on {device.serial}")
