"""A benchmark in the demo app: pushed, started by an intent, watched, and its reply pulled.

The app's side is `BenchmarkActivity` of `android_demo`; what both agree on stands here once and in
`core` once: the names of extras, folders and files.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from device_bench.devices.adb.device import Device
from device_bench.devices.adb.run_types import Job, StopError, Tick, Timed
from device_bench.measure.statistics import finite
from device_bench.measure.warmup import WarmUp
from export.artifact.files import manifest_path
from export.artifact.reader import Artifact
from lvt.errors import UserError

PACKAGE = "org.lvtmobile.app"
ACTIVITY = f"{PACKAGE}/.BenchmarkActivity"
FILES = f"/sdcard/Android/data/{PACKAGE}/files"
"""The app's own folder on shared storage: adb may write it, the app needs no permission for it."""
MODELS = f"{FILES}/models"
REPLIES = f"{FILES}/bench"
SCHEMA = 1
"""Of replies; see `BENCH_SCHEMA` in the core."""
POLL_SECONDS = 0.5
SILENT_SECONDS = 300.0
"""Without progress for so long the app is taken to hang; loading is part of it."""
_START_SECONDS = 20.0
_LOOK = """
[ -f "$1" ] && echo reply
cat "$1.progress" 2>/dev/null
[ -n "$(pidof "$2")" ] && echo alive
true
"""


def check_app(device: Device) -> None:
    """Refuses a device without the app.

    Raises:
        UserError: says how to install it.
    """
    if device.run("pm", "path", PACKAGE).code:
        raise UserError(
            f"the demo app is not on {device.serial}: build its APK (android_demo/README.md), "
            f"then adb -s {device.serial} install -r app.apk"
        )


def prepare(device: Device, stop: threading.Event) -> None:
    """Has the app make its folders: those that adb makes can be closed to the app.

    Raises:
        UserError: the app does not start.
    """
    if device.run("ls", "-d", MODELS, REPLIES).code:
        with _Run(
            device, {}, stop
        ) as run:  # a request for nothing: its reply is an error, and there
            run.reply(lambda step, share=0.0: None)


def push_artifact(device: Device, artifact: Artifact, tick: Tick) -> str:
    """Copies the model and its manifest to the app's folder, as far as they are not there.

    Returns:
        The model's name there: the same for the same file, so that it need not be pushed again.

    Raises:
        UserError: see `Device.push`.
    """
    sha256 = artifact.manifest["file"]["sha256"]
    name = f"{artifact.path.stem}-{sha256[:12]}{artifact.path.suffix}"
    model = f"{MODELS}/{name}"

    def told(share: float) -> None:
        tick(f"pushing {artifact.path.name}", share)

    told(0.0)
    device.push(artifact.path, model, told)
    device.push(manifest_path(artifact.path), str(manifest_path(Path(model))), lambda _share: None)
    return name


def run_app(device: Device, name: str, job: Job, stop: threading.Event, tick: Tick) -> Timed:
    """Times a file that was pushed.

    Args:
        name: of the model in the app's folder.
        stop: set by whoever wants everything to end.

    Raises:
        UserError: the app refuses, crashes or hangs, or the device is gone.
        StopError: as asked for.
    """
    extras: dict[str, str | int | float] = {
        "artifact": name,
        "runtime": job.runtime,
        "threads": job.threads,
        "runs": job.runs,
        "seconds": job.seconds,
    }
    with _Run(device, extras, stop) as run:
        return parse_reply(run.reply(tick), device.serial)


def parse_reply(text: str, serial: str) -> Timed:
    """The app's JSON.

    Raises:
        UserError: it tells an error, or is something else than a reply.
    """
    try:
        reply = json.loads(text)
        if reply["schema"] != SCHEMA:
            raise UserError(
                f"the app on {serial} replies in schema {reply['schema']}, this version reads "
                f"{SCHEMA}: install the app that belongs to it"
            )
        if "error" in reply:
            raise UserError(f"the app on {serial} says: {reply['error']}")
        return _timed(reply)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"the app on {serial} sent a damaged reply: {error!r}") from error


def _timed(reply: Mapping[str, Any]) -> Timed:
    samples, warmup = np.array(reply["samples_ms"], np.float64), reply["warmup"]
    if samples.ndim != 1 or not len(samples) or not (np.isfinite(samples) & (samples > 0)).all():
        raise ValueError("samples_ms is no series of latencies")
    return Timed(
        load_ms=finite(reply["load_ms"]),
        first_ms=finite(reply["first_ms"]),
        warmup=WarmUp(int(warmup["runs"]), finite(warmup["seconds"]), bool(warmup["settled"])),
        samples_ms=samples,
        version=str(reply["runtime_version"]),
        accelerator=str(reply["accelerator"]),
    )


class _Run:
    """One start of the activity; on the way out whatever it left behind is deleted."""

    def __init__(
        self, device: Device, extras: Mapping[str, str | int | float], stop: threading.Event
    ):
        self._device, self._extras, self._stop = device, extras, stop
        self._name = f"lvt-bench-{uuid.uuid4().hex[:12]}.json"
        self._reply = f"{REPLIES}/{self._name}"
        self._ended = False

    def __enter__(self) -> _Run:
        words = ["am", "start", "-W", "-n", ACTIVITY, "--es", "reply", self._name]
        for name, value in self._extras.items():
            words += ["--es", name, str(value)]
        answer = self._device.run(*words, seconds=_START_SECONDS)
        # am ends with 0 even where there is no such activity
        if answer.code or "Error" in answer.said or "Exception" in answer.said:
            raise UserError(
                f"the app on {self._device.serial} does not start: {answer.said}; install the app "
                "that belongs to this version"
            )
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            if not self._ended:
                self._device.run("am", "force-stop", PACKAGE)
        except UserError:
            return  # gone, and the app's files with it
        self._device.remove(self._reply, f"{self._reply}.progress", f"{self._reply}.part")

    def reply(self, tick: Tick) -> str:
        """Waits for it.

        Raises:
            UserError: the app has crashed, or hangs.
            StopError: as asked for.
        """
        last_news, missing, known = time.monotonic(), 0, ""
        while True:
            seen = self._device.script(_LOOK, self._reply, PACKAGE).out
            lines = seen.split("\n")
            if "reply" in lines:
                self._ended = True
                return self._device.pull_text(self._reply)
            if seen != known:
                last_news, known = time.monotonic(), seen
            _tell(lines, tick)
            missing = 0 if "alive" in lines else missing + 1
            if missing >= 3:  # between two looks it may have replied and ended
                self._ended = True
                raise UserError(self._obituary())
            if time.monotonic() - last_news > SILENT_SECONDS:
                raise UserError(
                    f"the app on {self._device.serial} has done nothing for "
                    f"{SILENT_SECONDS:.0f} s; is its screen on?"
                )
            if self._stop.wait(POLL_SECONDS):
                raise StopError

    def _obituary(self) -> str:
        log = self._device.run("logcat", "-b", "crash", "-d", "-t", "200").out
        reason = crash_reason(log)
        return (
            f"the app has ended on {self._device.serial} without a reply: "
            f"{reason or 'Android may have taken its memory'}; adb -s {self._device.serial} logcat "
            "-d shows more"
        )


def crash_reason(log: str) -> str | None:
    """Why the app crashed last, from Android's log of crashes; None where it does not tell."""
    java = re.findall(rf"Process: {re.escape(PACKAGE)}.*\n.*AndroidRuntime: (.+)", log)
    native = re.findall(rf">>> {re.escape(PACKAGE)} <<<(?:.*\n)+?.*(signal \d+ \(\w+\))", log)
    found = java or native
    return found[-1].strip() if found else None


def _tell(lines: list[str], tick: Tick) -> None:
    """Progress as the app writes it: `DONE SHARE`."""
    for line in lines:
        words = line.split()
        if len(words) == 2 and words[0].isdigit():
            tick(f"timing, {words[0]} runs", min(float(words[1]), 1.0))
            return
    tick("loading and warming up")
