"""Artifacts on devices: each device in a thread of its own, one run after the other on each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from device_bench.devices.adb.app_run import check_app, prepare, push_artifact, run_app
from device_bench.devices.adb.binary_run import push_tool, run_tool, tool_for
from device_bench.devices.adb.device import Device
from device_bench.devices.adb.device_info import Description, describe
from device_bench.devices.adb.device_state import Condition, CoolDown, cool_down, read_condition
from device_bench.devices.adb.monitor import Energy, Reading, Watch, energy, throttling
from device_bench.devices.adb.run_types import Job, StopError, Tick, Timed
from device_bench.devices.adb.tool_output import Printed
from device_bench.measure.preset import Protocol, complaints
from export.artifact.reader import Artifact
from export.capabilities import target_info
from lvt.errors import UserError

APP_RUNTIMES = {
    "onnx": ("onnxruntime", "onnxruntime-xnnpack", "onnxruntime-nnapi"),
    "executorch": ("executorch",),
    "tflite": ("tflite", "tflite-gpu", "tflite-nnapi"),
}
"""What runs files of a target on Android, the default first. An app without it says so."""
ANDROID = "android"


@dataclass(frozen=True)
class Contest:
    """What to do on every device.

    Attributes:
        entries: files, and the runtime for each.
        binary: a runtime's own tool in place of the app.
        threads: of the runtime.
        runs: least number of timed inferences.
        seconds: least time they take together.
        rule: what validity is judged by.
        cool_to: highest temperature of the battery to begin at, in degrees Celsius.
        cool_seconds: how long to wait for it at most.
    """

    entries: tuple[tuple[Artifact, str], ...]
    binary: Path | None
    threads: int
    runs: int
    seconds: float
    rule: Protocol
    cool_to: float
    cool_seconds: float


@dataclass(frozen=True, eq=False)
class PhoneRun:
    """One artifact on one device.

    Attributes:
        runner: what ran it: the app, or a tool by its name.
        timed: raw samples, or what a tool said in their place.
        cooled: how the device was before it.
        after: how it was right after.
        readings: clocks and power meanwhile.
        energy: None: not measured.
        reasons: why it is not valid; empty if it is.
    """

    artifact: Artifact
    runtime: str
    runner: str
    device: Description
    timed: Timed | Printed
    cooled: CoolDown
    after: Condition
    readings: tuple[Reading, ...]
    energy: Energy | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What all devices gave.

    Attributes:
        runs: in the order of devices and entries.
        errors: a line for each device that did not get through.
    """

    runs: tuple[PhoneRun, ...] = ()
    errors: tuple[str, ...] = ()


def entries(
    artifacts: Sequence[Artifact], runtimes: Sequence[str], binary: Path | None
) -> tuple[tuple[Artifact, str], ...]:
    """Each artifact with each of the runtimes that take it; its own where none is named.

    Raises:
        UserError: a runtime that Android does not have, or that runs none of the files; a file that
            no runtime there takes.
    """
    known = [name for names in APP_RUNTIMES.values() for name in names]
    unknown = [name for name in runtimes if name not in known]
    if unknown:
        raise UserError(f"unknown runtime {unknown[0]!r}; choose one of {', '.join(known)}")
    found = []
    for artifact in artifacts:
        own = APP_RUNTIMES.get(artifact.target, ())
        fitting = [name for name in runtimes if name in own] if runtimes else list(own[:1])
        if not fitting:
            which = ", ".join(runtimes) or "Android"
            raise UserError(f"{artifact.path.name} is for {artifact.target}, not for {which}")
        if binary is not None:
            tool_for(artifact)
            fitting = [target_info(artifact.target).runtime]
        found += [(artifact, name) for name in fitting]
    if binary is not None and len({artifact.target for artifact, _ in found}) > 1:
        raise UserError("--binary is one tool: give it files of one target only")
    return tuple(found)


def run_contest(
    devices: Sequence[Device], contest: Contest, tick: Callable[[str, str, float], None]
) -> Outcome:
    """All artifacts on all devices, the devices side by side.

    Args:
        devices: at least one.
        tick: told a device's serial number, what it does, and the share of the timed runs done.

    Raises:
        UserError: no device got through.
    """
    stop = threading.Event()
    gathered: dict[str, list[PhoneRun]] = {device.serial: [] for device in devices}

    def measure(device: Device) -> str | None:
        try:
            _measure(device, contest, gathered[device.serial], stop, partial(tick, device.serial))
        except UserError as error:
            return str(error)
        except StopError:
            return f"{device.serial} was stopped"
        return None

    with ThreadPoolExecutor(len(devices)) as pool:
        futures = [pool.submit(measure, device) for device in devices]
        try:
            errors = [future.result() for future in futures]
        finally:
            stop.set()  # Ctrl-C: what runs on devices is to end before we do
    outcome = Outcome(
        tuple(run for device in devices for run in gathered[device.serial]),
        tuple(error for error in errors if error is not None),
    )
    if not outcome.runs:
        raise UserError("; ".join(outcome.errors))
    return outcome


def _measure(
    device: Device,
    contest: Contest,
    runs: list[PhoneRun],
    stop: threading.Event,
    report: Callable[[str, float], None],
) -> None:
    """One device; adds to `runs` what is done, for an error may follow."""

    def tick(step: str, share: float = 0.0) -> None:
        report(step, share)

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise StopError

    tick("looking at the device")
    description = describe(device)
    if contest.binary is None:
        check_app(device)
        prepare(device, stop)
    for artifact, runtime in contest.entries:
        job = Job(runtime, contest.threads, contest.runs, contest.seconds)
        start, runner = _starter(device, contest, artifact, job, stop, tick)
        cooled = cool_down(
            partial(read_condition, device),
            limit=contest.cool_to,
            seconds=contest.cool_seconds,
            clock=time.monotonic,
            sleep=sleep,
            tick=tick,
        )
        began = time.monotonic()
        with Watch(device) as watch:
            timed = start()
        seconds = time.monotonic() - began
        after = read_condition(device)
        run = PhoneRun(
            artifact,
            runtime,
            runner,
            description,
            timed,
            cooled,
            after,
            watch.readings,
            _energy(timed, watch.readings, cooled.condition, after, seconds),
            (),
        )
        runs.append(replace(run, reasons=tuple(_reasons(run, contest))))
    tick("done", 1.0)


def _starter(
    device: Device,
    contest: Contest,
    artifact: Artifact,
    job: Job,
    stop: threading.Event,
    tick: Tick,
) -> tuple[Callable[[], Timed | Printed], str]:
    """Pushes what is needed; gives what starts the run, and the name of what runs it."""
    if contest.binary is None:
        name = push_artifact(device, artifact, tick)
        return lambda: run_app(device, name, job, stop, tick), "the demo app"
    tool = tool_for(artifact)
    paths = push_tool(device, contest.binary, artifact, tick)
    return lambda: run_tool(device, tool, paths, job, stop, tick), tool.name


def _energy(
    timed: Timed | Printed,
    readings: Sequence[Reading],
    before: Condition,
    after: Condition,
    seconds: float,
) -> Energy | None:
    mean = timed.figures.get("mean") if isinstance(timed, Printed) else timed.samples_ms.mean()
    if mean is None:
        return None
    return energy(readings, before, after, seconds=seconds, mean_ms=float(mean))


def _reasons(run: PhoneRun, contest: Contest) -> list[str]:
    """Why a run is not valid; empty if it is."""
    reasons = []
    if isinstance(run.timed, Timed):
        reasons += complaints(
            run.timed.samples_ms,
            contest.rule,
            warmup=run.timed.warmup,
            load_before=0.0,  # a phone's load average counts drivers that sleep
            busy_threads=contest.threads,
            cores=run.device.cores or contest.threads,
        )
    else:
        reasons.append(f"{run.runner} tells no single inference, so that drift cannot be seen")
    if run.cooled.still_warm is not None:
        waited = f"after {run.cooled.seconds:.0f} s of cooling down"
        reasons.append(f"the device was warm {waited}: {run.cooled.still_warm}")
    if run.cooled.condition.battery_saver:
        reasons.append("the battery saver is on")
    return reasons + throttling(run.readings, run.cooled.condition, run.after)
