"""Runs artifacts on Android devices: devices in parallel, the runs of a device in sequence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from device_bench.devices.adb.app_run import check_app, create_app_folders, push_artifact, run_app
from device_bench.devices.adb.device import AdbDevice
from device_bench.devices.adb.device_info import DeviceInfo, read_device_info
from device_bench.devices.adb.device_state import (
    CoolDown,
    DeviceState,
    cool_down,
    read_device_state,
)
from device_bench.devices.adb.monitor import (
    DeviceEnergy,
    DeviceMonitor,
    DeviceReading,
    device_energy,
    throttling_issues,
)
from device_bench.devices.adb.run_types import StopError, TimedRun
from device_bench.devices.adb.tool_output import ToolOutput
from device_bench.devices.adb.tool_run import push_tool, run_tool, tool_for
from device_bench.measure.config import BenchConfig, BenchProgress
from device_bench.measure.validity import validity_issues
from export.artifact.reader import Artifact
from export.capabilities import target_info
from export.chips import check_device_chip
from lvt.errors import UserError

APP_RUNTIMES = {
    "onnx": ("onnxruntime", "onnxruntime-xnnpack", "onnxruntime-webgpu", "onnxruntime-nnapi"),
    "executorch": ("executorch",),
    "tflite": ("tflite", "tflite-gpu", "tflite-nnapi"),
    "qnn": ("onnxruntime-qnn",),
}
"""Runtimes of the app for each target, the default first. An app without one reports it."""
ANDROID = "android"
"""The value of `--backend` for connected devices."""
_APP = "the demo app"

DeviceProgress = Callable[[str, str, float], None]
"""Called with a device's serial number, its current step and the completed share of the runs."""


@dataclass(frozen=True)
class DeviceBenchPlan:
    """What to run on every device.

    Attributes:
        models: artifacts, each with the runtime to run it.
        config: how to measure.
        binary: a runtime's own tool; None: the app runs the models.
        max_celsius: highest battery temperature at which a run starts.
        max_cool_down_seconds: longest wait for it.
    """

    models: tuple[tuple[Artifact, str], ...]
    config: BenchConfig
    binary: Path | None
    max_celsius: float
    max_cool_down_seconds: float


@dataclass(frozen=True, eq=False)
class DeviceRun:
    """The run of one artifact on one device.

    Attributes:
        runtime: that ran it.
        runner: the app, or the name of the tool.
        device: that it ran on.
        output: raw samples, or the statistics of a tool.
        cooled: the wait before the run, and the state after the wait.
        after: state of the device right after the run.
        readings: clocks and power during the run.
        energy: None: not measured.
        validity_issues: reasons why the run is not valid; empty if it is.
    """

    artifact: Artifact
    runtime: str
    runner: str
    device: DeviceInfo
    output: TimedRun | ToolOutput
    cooled: CoolDown
    after: DeviceState
    readings: tuple[DeviceReading, ...]
    energy: DeviceEnergy | None
    validity_issues: tuple[str, ...]


@dataclass(frozen=True)
class DeviceBenchOutcome:
    """The runs of all devices.

    Attributes:
        runs: in the order of devices and models.
        errors: one line for each device that failed.
    """

    runs: tuple[DeviceRun, ...] = ()
    errors: tuple[str, ...] = ()


def choose_runtimes(
    artifacts: Sequence[Artifact], runtimes: Sequence[str], binary: Path | None
) -> tuple[tuple[Artifact, str], ...]:
    """Pair each artifact with all of `runtimes` that run it; without any, with its default.

    Raises:
        UserError: an unknown runtime, or an artifact that none of the runtimes can run.
    """
    known = [name for names in APP_RUNTIMES.values() for name in names]
    unknown = [name for name in runtimes if name not in known]
    if unknown:
        raise UserError(f"unknown runtime {unknown[0]!r}; choose one of {', '.join(known)}")
    pairs = []
    for artifact in artifacts:
        supported = APP_RUNTIMES.get(artifact.target, ())
        chosen = [name for name in runtimes if name in supported] if runtimes else supported[:1]
        if not chosen:
            requested = ", ".join(runtimes) or "Android"
            raise UserError(f"{artifact.path.name} is for {artifact.target}, not for {requested}")
        if binary is not None:
            tool_for(artifact)
            chosen = [target_info(artifact.target).runtime]
        pairs += [(artifact, name) for name in chosen]
    if binary is not None and len({artifact.target for artifact, _ in pairs}) > 1:
        raise UserError("--binary is one tool: give it files of one target only")
    return tuple(pairs)


def run_on_devices(
    devices: Sequence[AdbDevice], plan: DeviceBenchPlan, progress: DeviceProgress
) -> DeviceBenchOutcome:
    """Run all models on all devices in parallel. A device that fails does not stop the others.

    Args:
        devices: at least one.
        plan: what to run.
        progress: called with the current step of each device.

    Raises:
        UserError: no device completed a run.
    """
    stop = threading.Event()
    runners = [
        _DeviceRunner(device, plan, stop, partial(progress, device.serial)) for device in devices
    ]
    with ThreadPoolExecutor(len(devices)) as pool:
        futures = [pool.submit(runner.run_all) for runner in runners]
        try:
            errors = [future.result() for future in futures]
        finally:
            stop.set()  # after Ctrl-C, end what runs on the devices
    outcome = DeviceBenchOutcome(
        tuple(run for runner in runners for run in runner.runs),
        tuple(error for error in errors if error is not None),
    )
    if not outcome.runs:
        raise UserError("; ".join(outcome.errors))
    return outcome


class _DeviceRunner:
    """Runs all models on one device.

    Attributes:
        runs: completed so far; they are kept if a later run fails.
    """

    def __init__(
        self,
        device: AdbDevice,
        plan: DeviceBenchPlan,
        stop: threading.Event,
        progress: BenchProgress,
    ):
        self._device, self._plan = device, plan
        self._stop, self._progress = stop, progress
        self.runs: list[DeviceRun] = []

    def run_all(self) -> str | None:
        """Run all models and return the error that ended the runs, if there was one."""
        try:
            self._run_models()
        except UserError as error:
            return str(error)
        except StopError:
            return f"{self._device.serial} was stopped"
        return None

    def _run_models(self) -> None:
        self._progress("reading the device", 0.0)
        info = read_device_info(self._device)
        for artifact, _runtime in self._plan.models:
            if target_info(artifact.target).compiled:
                check_device_chip(artifact.path.name, artifact.manifest["chips"], info.soc)
        if self._plan.binary is None:
            check_app(self._device)
            create_app_folders(self._device, self._stop)
        for artifact, runtime in self._plan.models:
            self.runs.append(self._run_model(info, artifact, runtime))
        self._progress("done", 1.0)

    def _run_model(self, info: DeviceInfo, artifact: Artifact, runtime: str) -> DeviceRun:
        start_run, runner = self._prepare(artifact, runtime)
        cooled = self._cool_down()
        start = time.monotonic()
        with DeviceMonitor(self._device) as monitor:
            output = start_run()
        seconds = time.monotonic() - start
        after = read_device_state(self._device)
        readings = monitor.readings
        mean_ms = _mean_ms(output)
        return DeviceRun(
            artifact=artifact,
            runtime=runtime,
            runner=runner,
            device=info,
            output=output,
            cooled=cooled,
            after=after,
            readings=readings,
            energy=None
            if mean_ms is None
            else device_energy(readings, cooled.state, after, seconds=seconds, mean_ms=mean_ms),
            validity_issues=(
                *self._timing_issues(output, info, runner),
                *_state_issues(cooled),
                *throttling_issues(readings, cooled.state, after),
            ),
        )

    def _prepare(
        self, artifact: Artifact, runtime: str
    ) -> tuple[Callable[[], TimedRun | ToolOutput], str]:
        """Push the files of a run; return the function that starts it and the runner's name."""
        device, plan, stop, progress = self._device, self._plan, self._stop, self._progress
        if plan.binary is None:
            name = push_artifact(device, artifact, progress)
            return lambda: run_app(device, name, runtime, plan.config, stop, progress), _APP
        tool = tool_for(artifact)
        paths = push_tool(device, plan.binary, artifact, progress)
        return lambda: run_tool(device, tool, paths, plan.config, stop, progress), tool.name

    def _cool_down(self) -> CoolDown:
        def sleep(seconds: float) -> None:
            if self._stop.wait(seconds):
                raise StopError

        return cool_down(
            partial(read_device_state, self._device),
            max_celsius=self._plan.max_celsius,
            max_seconds=self._plan.max_cool_down_seconds,
            clock=time.monotonic,
            sleep=sleep,
            on_wait=lambda reason: self._progress(reason, 0.0),
        )

    def _timing_issues(
        self, output: TimedRun | ToolOutput, info: DeviceInfo, runner: str
    ) -> list[str]:
        if isinstance(output, ToolOutput):
            return [f"{runner} reports no single inferences, so drift cannot be detected"]
        threads = self._plan.config.threads
        issues = validity_issues(
            output.samples_ms,
            self._plan.config.preset,
            warmup=output.warmup,
            load_before=0.0,  # a phone's load average counts sleeping drivers
            busy_threads=threads,
            cores=info.cores or threads,
        )
        return [*issues, *output.issues]


def _mean_ms(output: TimedRun | ToolOutput) -> float | None:
    if isinstance(output, ToolOutput):
        return output.statistics_ms.get("mean")
    return float(output.samples_ms.mean())


def _state_issues(cooled: CoolDown) -> list[str]:
    issues = []
    if cooled.heat_issue is not None:
        issues.append(
            f"the device was warm after {cooled.seconds:.0f} s of cooling down: {cooled.heat_issue}"
        )
    if cooled.state.battery_saver:
        issues.append("the battery saver is on")
    return issues
