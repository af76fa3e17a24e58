"""A benchmark with a runtime's own command-line tool, pushed to the device and run in its shell."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from device_bench.devices.adb.device import Device
from device_bench.devices.adb.run_types import Job, StopError, Tick, Timed
from device_bench.devices.adb.tool_output import (
    Printed,
    parse_benchmark_model,
    parse_executor_runner,
    parse_perf_test,
)
from device_bench.measure.warmup import LEAST_SECONDS, WINDOW, WarmUp, warm_up
from export.artifact.reader import Artifact
from lvt.errors import UserError

FOLDER = "/data/local/tmp/lvt-mobile"
_TRIAL_RUNS = 10
_MARGIN = 1.3
"""More runs than the trial's latency calls for, because a phone's latency varies."""
_MOST_SECONDS = 1800.0
POLL_SECONDS = 0.5
_START = """
trap "" HUP
said="$1"; shift
export LD_LIBRARY_PATH="$(dirname "$1")"
exec </dev/null >/dev/null 2>&1
( "$@" >"$said" 2>&1 & echo $! >"$said.pid"; wait $!; echo $? >"$said.code" ) &
"""
"""It goes on by itself: neither its length nor the wish to stop it may hang on one connection."""
_LOOK = '[ -s "$1.code" ] && cat "$1.code"; true'
_STOP = 'kill "$(cat "$1.pid")"'
_READ = """
cat "$1"
[ -f "$2" ] && cat "$2"
echo "=== Android's log"
logcat -d --pid="$(cat "$1.pid")" 2>/dev/null
true
"""
_LOG = "=== Android's log\n"


@dataclass(frozen=True)
class Tool:
    """A command-line tool of a runtime.

    Attributes:
        name: as its project calls it.
        arguments: from its paths of model and result file, threads, runs and seconds.
        parse: what it has printed; None: it was not this tool, or it failed.
        hint: what to do where it prints no times.
    """

    name: str
    arguments: Callable[[str, str, Job], list[str]]
    parse: Callable[[str], Printed | None]
    hint: str


def _perf_test(model: str, result: str, job: Job) -> list[str]:
    times = ["-m", "times", "-r", str(job.runs)]  # -I: made-up input, of the model's own shape
    return ["-I", "-e", "cpu", *times, "-x", str(job.threads), "-y", "1", model, result]


def _executor_runner(model: str, _result: str, job: Job) -> list[str]:
    runs = ["--num_executions", str(job.runs)]
    return ["--model_path", model, *runs, "--cpu_threads", str(job.threads)]


def _benchmark_model(model: str, _result: str, job: Job) -> list[str]:
    warmup = [f"--warmup_runs={2 * WINDOW}", f"--warmup_min_secs={LEAST_SECONDS:g}"]
    runs = [
        f"--num_runs={job.runs}",
        f"--min_secs={job.seconds:g}",
        f"--max_secs={_MOST_SECONDS:g}",
    ]
    return [f"--graph={model}", f"--num_threads={job.threads}", *runs, *warmup]


TOOLS = {
    "onnx": Tool("onnxruntime_perf_test", _perf_test, parse_perf_test, "is it that tool?"),
    "executorch": Tool(
        "executor_runner",
        _executor_runner,
        parse_executor_runner,
        "build it with EXECUTORCH_ENABLE_LOGGING=ON",
    ),
    "tflite": Tool("benchmark_model", _benchmark_model, parse_benchmark_model, "is it that tool?"),
}
"""By the target of the files that they run."""


def tool_for(artifact: Artifact) -> Tool:
    """The tool that runs such files.

    Raises:
        UserError: there is none.
    """
    if artifact.target not in TOOLS:
        raise UserError(
            f"no tool for {artifact.target} files runs on Android; there is one for "
            f"{', '.join(TOOLS)}"
        )
    return TOOLS[artifact.target]


def push_tool(device: Device, binary: Path, artifact: Artifact, tick: Tick) -> tuple[str, str]:
    """Copies tool and model to the device, as far as they are not there; gives their paths there.

    Raises:
        UserError: see `Device.push`.
    """
    if device.run("mkdir", "-p", FOLDER).code:
        raise UserError(f"{device.serial} has no folder {FOLDER}, and it cannot be made")
    places = []
    for file in (binary, artifact.path):

        def told(share: float, name: str = file.name) -> None:
            tick(f"pushing {name}", share)

        told(0.0)
        place = f"{FOLDER}/{file.name}"
        device.push(file, place, told)
        places.append(place)
    device.run("chmod", "755", places[0])
    return places[0], places[1]


def run_tool(
    device: Device,
    tool: Tool,
    paths: tuple[str, str],
    job: Job,
    stop: threading.Event,
    tick: Tick,
) -> Timed | Printed:
    """Times a file with a tool that was pushed.

    Tools that tell every inference count runs only: a short trial says how many are needed. What
    the first of their samples tell is taken for the warm-up, by the rule of the host's.

    Args:
        paths: of tool and model on the device.

    Returns:
        Raw samples where the tool tells them, else what it says of them.

    Raises:
        UserError: it fails, or tells no times.
        StopError: as asked for.
    """
    tick(f"trying {tool.name}")
    trial = _once(device, tool, paths, replace(job, runs=_TRIAL_RUNS, seconds=0.0), stop)
    if not trial.samples_ms:
        tick(f"timing with {tool.name}")
        return _once(device, tool, paths, job, stop)
    median = float(np.median(trial.samples_ms)) / 1e3
    needed = max(job.runs, job.seconds / median) + LEAST_SECONDS / median + 2 * WINDOW
    runs = math.ceil(_MARGIN * needed)
    tick(f"timing with {tool.name}, {runs} runs")
    return split_warmup(_once(device, tool, paths, replace(job, runs=runs, seconds=0.0), stop))


def split_warmup(printed: Printed) -> Timed:
    """The first samples as warm-up, until they have settled, the others as measurement."""
    samples = np.array(printed.samples_ms)
    rest: Iterator[float] = iter(samples / 1e3)
    try:
        warmup = warm_up(lambda: next(rest))
    except StopIteration:  # never settled: all of it is shown, and marked
        return _timed(printed, WarmUp(0, 0.0, settled=False), 0)
    return _timed(printed, warmup, min(warmup.runs, len(samples) - 1))


def _timed(printed: Printed, warmup: WarmUp, start: int) -> Timed:
    samples = np.array(printed.samples_ms)[start:]
    return Timed(
        load_ms=printed.load_ms,
        first_ms=printed.first_ms,
        warmup=warmup,
        samples_ms=samples,
        version=None,
        accelerator=None,
    )


def _once(
    device: Device, tool: Tool, paths: tuple[str, str], job: Job, stop: threading.Event
) -> Printed:
    binary, model = paths
    said = f"{FOLDER}/lvt-bench-{uuid.uuid4().hex[:12]}"
    result = f"{said}.csv"
    device.script(_START, said, binary, *tool.arguments(model, result, job))
    try:
        code = _wait(device, said, tool.name, stop)
        own, _, logged = device.script(_READ, said, result).out.partition(_LOG)
    finally:
        device.remove(said, result, f"{said}.pid", f"{said}.code")
    if code:
        last = " ".join(own.split())[-200:]
        raise UserError(f"{tool.name} failed on {device.serial} with code {code}: {last}")
    printed = tool.parse(own) or tool.parse(logged)  # ExecuTorch may log to Android alone
    if printed is None:
        raise UserError(f"{tool.name} told no times on {device.serial}: {tool.hint}")
    return printed


def _wait(device: Device, said: str, name: str, stop: threading.Event) -> int:
    """The tool's exit code, once it has one."""
    start = time.monotonic()
    while True:
        code = device.script(_LOOK, said).out.strip()
        if code:
            return int(code)
        stopped = stop.wait(POLL_SECONDS)
        if stopped or time.monotonic() - start > _MOST_SECONDS:
            device.script(_STOP, said)
            if stopped:
                raise StopError
            raise UserError(f"{name} takes more than {_MOST_SECONDS:.0f} s on {device.serial}")
