"""Runs a benchmark in the demo app: push, start by an intent, poll, and pull the reply.

The other side is `BenchmarkActivity` of `android_demo`. The names of extras, folders and files
must be the same here and in the app's `core`.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from device_bench.devices.adb.device import AdbDevice
from device_bench.devices.adb.device_state import THERMAL_STATUS
from device_bench.devices.adb.run_types import StopError, TimedRun
from device_bench.measure.config import BenchConfig, BenchProgress, no_progress
from device_bench.measure.statistics import finite_number, read_optional, record_samples
from device_bench.measure.warmup import WarmUp
from device_bench.results.stage_summary import StageSummary
from export.artifact.files import content_files, manifest_path
from export.artifact.reader import Artifact
from export.placement import Placement
from lvt.errors import UserError

PACKAGE = "org.lvtmobile.app"
ACTIVITY = f"{PACKAGE}/.BenchmarkActivity"
APP_FOLDER = f"/sdcard/Android/data/{PACKAGE}/files"
"""The app's own folder on shared storage: adb may write it, and the app needs no permission."""
MODEL_FOLDER = f"{APP_FOLDER}/models"
REPLY_FOLDER = f"{APP_FOLDER}/bench"
LOG_TAG = "lvt-bench"
"""Where the app tells that it cannot write its reply; `TAG` of `BenchmarkActivity`."""
REPLY_SCHEMA = 1
"""Schema of replies; `BENCH_SCHEMA` in the core."""
POLL_SECONDS = 0.5
SILENT_SECONDS = 300.0
"""The app is considered hung after this time without progress. It includes loading."""
_START_SECONDS = 20.0
_MAX_MISSES = 3
"""Polls without the app's process before it is considered ended. It may have replied and ended
between two polls."""
_POLL_SCRIPT = """
[ -f "$1" ] && echo reply
cat "$1.progress" 2>/dev/null
[ -n "$(pidof "$2")" ] && echo alive
true
"""


def check_app(device: AdbDevice) -> None:
    """Check that the app is installed.

    Raises:
        UserError: it is not; says how to install it.
    """
    if device.run("pm", "path", PACKAGE).code:
        raise UserError(
            f"the demo app is not on {device.serial}: build its APK (android_demo/README.md), "
            f"then adb -s {device.serial} install -r app.apk"
        )


def create_app_folders(device: AdbDevice, stop: threading.Event) -> None:
    """Start the app once, so that it creates its folders: it may not access folders of adb.

    Raises:
        UserError: the app does not start.
    """
    if device.run("ls", "-d", MODEL_FOLDER, REPLY_FOLDER).code:
        # A request without an artifact: the reply is an error, but the folders exist afterwards.
        with _AppRun(device, {}, stop) as run:
            run.wait_for_reply(no_progress)


def push_artifact(device: AdbDevice, artifact: Artifact, progress: BenchProgress) -> str:
    """Copy the model and its manifest to the app's folder, unless they are there.

    Returns:
        The name of the model in that folder. It contains the hash, so that the same file is found
        again.

    Raises:
        UserError: see `AdbDevice.push`.
    """
    sha256 = artifact.manifest["file"]["sha256"]
    name = f"{artifact.path.stem}-{sha256[:12]}{artifact.path.suffix}"
    model = f"{MODEL_FOLDER}/{name}"

    def on_progress(share: float) -> None:
        progress(f"pushing {artifact.path.name}", share)

    on_progress(0.0)
    if artifact.path.is_dir():  # in parts, or compiled
        files = {
            file: PurePosixPath(model, file.relative_to(artifact.path).as_posix())
            for file in content_files(artifact.path)
        }
        for folder in dict.fromkeys(remote.parent for remote in files.values()):
            device.make_folder(str(folder))
        for file, remote in files.items():
            device.push(file, str(remote), on_progress)
    else:
        device.push(artifact.path, model, on_progress)
    device.push(manifest_path(artifact.path), str(manifest_path(Path(model))), lambda _share: None)
    return name


def run_app(
    device: AdbDevice,
    name: str,
    runtime: str,
    config: BenchConfig,
    stop: threading.Event,
    progress: BenchProgress,
) -> TimedRun:
    """Time a model that was pushed.

    Args:
        device: with the app.
        name: of the model in the app's folder.
        runtime: that runs it.
        config: how to measure.
        stop: set when the user interrupts the benchmark.
        progress: called with the current step.

    Raises:
        UserError: the app reports an error, crashes or hangs, or the device is disconnected.
        StopError: `stop` was set.
    """
    extras: dict[str, str | int | float] = {
        "artifact": name,
        "runtime": runtime,
        "threads": config.threads,
        "runs": config.min_runs,
        "seconds": config.min_seconds,
    }
    with _AppRun(device, extras, stop) as run:
        return parse_reply(run.wait_for_reply(progress), device.serial)


def parse_reply(text: str, serial: str) -> TimedRun:
    """Parse the app's JSON reply.

    Raises:
        UserError: it contains an error, or is not a reply.
    """
    try:
        reply = json.loads(text)
        if reply["schema"] != REPLY_SCHEMA:
            raise UserError(
                f"the app on {serial} replies in schema {reply['schema']}, this version reads "
                f"{REPLY_SCHEMA}: install the app of this version"
            )
        if "error" in reply:
            raise UserError(f"the app on {serial} says: {reply['error']}")
        return _parse_timed_run(reply)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"the app on {serial} sent a damaged reply: {error!r}") from error


def _parse_timed_run(reply: Mapping[str, Any]) -> TimedRun:
    placement = _parse_placement(reply)
    return TimedRun(
        load_ms=finite_number(reply["load_ms"]),
        first_ms=finite_number(reply["first_ms"]),
        warmup=WarmUp.from_dict(reply["warmup"]),
        samples_ms=record_samples(reply["samples_ms"]),
        version=str(reply["runtime_version"]),
        accelerator=str(reply["accelerator"]),
        stages=read_optional(StageSummary.from_dict, reply.get("stages")),
        placement=placement,
        issues=(*_condition_issues(reply.get("conditions")), *_placement_issues(placement)),
    )


def _parse_placement(reply: Mapping[str, Any]) -> Placement | None:
    """The operators that the runtime counted on the phone, which it does not tell apart."""
    counts = reply.get("placement")
    if counts is None:
        return None
    accelerated, total = int(counts["accelerated"]), int(counts["total"])
    return Placement(
        accelerator=str(reply["accelerator"]),
        partitions=None,
        delegated={"operators": accelerated},
        outside={"operators": total - accelerated},
    )


def _placement_issues(placement: Placement | None) -> tuple[str, ...]:
    """The accelerator that ran nothing, so that the CPU's times do not look like its own."""
    if placement is None or any(placement.delegated.values()):
        return ()
    return (
        f"{placement.accelerator} ran none of the {placement.count} operators, so these are the "
        "CPU's times",
    )


def _condition_issues(conditions: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Why the conditions that the app observed make a result not valid."""
    if conditions is None:
        return ("the app does not report whether it stayed in the foreground",)
    issues = []
    if not conditions["foreground"]:
        issues.append("the app was not in the foreground")
    before, after = conditions["thermal_before"], conditions["thermal_after"]
    if before is not None and after is not None and after > before:
        names = [THERMAL_STATUS[min(int(status), 6)] for status in (before, after)]
        issues.append(f"the thermal status in the app rose from {names[0]} to {names[1]}")
    return tuple(issues)


class _AppRun:
    """One start of the activity. On exit, its files on the device are deleted."""

    def __init__(
        self, device: AdbDevice, extras: Mapping[str, str | int | float], stop: threading.Event
    ):
        self._device, self._extras, self._stop = device, extras, stop
        self._name = f"lvt-bench-{uuid.uuid4().hex[:12]}.json"
        self._reply = f"{REPLY_FOLDER}/{self._name}"
        self._ended = False

    def __enter__(self) -> _AppRun:
        words = ["am", "start", "-W", "-n", ACTIVITY, "--es", "reply", self._name]
        for name, value in self._extras.items():
            words += ["--es", name, str(value)]
        result = self._device.run(*words, seconds=_START_SECONDS)
        # The exit code is 0 even if there is no such activity.
        if result.code or "Error" in result.text or "Exception" in result.text:
            raise UserError(
                f"the app on {self._device.serial} does not start: {result.text}; install the app "
                "of this version"
            )
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            if not self._ended:
                self._device.run("am", "force-stop", PACKAGE)
        except UserError:
            return  # the device is disconnected
        self._device.remove(self._reply, f"{self._reply}.progress", f"{self._reply}.part")

    def wait_for_reply(self, progress: BenchProgress) -> str:
        """Wait for the reply and return its text.

        Raises:
            UserError: the app crashed or hangs.
            StopError: the user interrupted the benchmark.
        """
        last_change, misses, last_output = time.monotonic(), 0, ""
        while True:
            output = self._device.script(_POLL_SCRIPT, self._reply, PACKAGE).out
            lines = output.split("\n")
            if "reply" in lines:
                self._ended = True
                return self._device.pull_text(self._reply)
            if output != last_output:
                last_change, last_output = time.monotonic(), output
            _report_progress(lines, progress)
            misses = 0 if "alive" in lines else misses + 1
            if misses >= _MAX_MISSES:
                self._ended = True
                raise UserError(self._crash_message())
            if time.monotonic() - last_change > SILENT_SECONDS:
                raise UserError(
                    f"the app on {self._device.serial} has done nothing for "
                    f"{SILENT_SECONDS:.0f} s; is its screen on?"
                )
            if self._stop.wait(POLL_SECONDS):
                raise StopError

    def _crash_message(self) -> str:
        crashes = self._device.run("logcat", "-b", "crash", "-d", "-t", "200").out
        own = self._device.run("logcat", "-d", "-s", f"{LOG_TAG}:E", "-t", "20").out
        reason = (
            _reply_problem(own)
            or crash_reason(crashes)
            or "Android may have stopped it to free memory"
        )
        return (
            f"the app ended on {self._device.serial} without a reply: {reason}; "
            f"adb -s {self._device.serial} logcat -d shows more"
        )


def _reply_problem(log: str) -> str | None:
    """Why the app could not write its last reply; None: it did not say so."""
    matches = re.findall(rf"{LOG_TAG}\s*: no reply: (.+)", log)
    return matches[-1].strip() if matches else None


def crash_reason(log: str) -> str | None:
    """The reason of the app's last crash, from Android's crash log; None: not recorded."""
    java = re.findall(rf"Process: {re.escape(PACKAGE)}.*\n.*AndroidRuntime: (.+)", log)
    native = re.findall(rf">>> {re.escape(PACKAGE)} <<<(?:.*\n)+?.*(signal \d+ \(\w+\))", log)
    matches = java or native
    return matches[-1].strip() if matches else None


def _report_progress(lines: list[str], progress: BenchProgress) -> None:
    """Pass on the app's progress, which is a line `RUNS SHARE`."""
    for line in lines:
        words = line.split()
        if len(words) == 2 and words[0].isdigit():
            progress(f"timing, {words[0]} runs", min(float(words[1]), 1.0))
            return
    progress("loading and warming up", 0.0)
