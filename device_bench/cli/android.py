"""`lvt-bench --backend android`: options, progress and output of runs on devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from device_bench.devices.adb.device import AdbDevice, find_devices
from device_bench.devices.adb.runner import (
    ANDROID,
    DeviceBenchOutcome,
    DeviceBenchPlan,
    choose_runtimes,
    run_on_devices,
)
from device_bench.devices.adb.tables import device_lines, tool_table
from device_bench.devices.adb.tool_output import ToolOutput
from device_bench.measure.config import BenchConfig
from export.artifact.reader import open_artifact
from lvt.errors import UserError
from lvt.support.terminal import Terminal


@dataclass(frozen=True)
class AndroidOptions:
    """The command's options for devices; None or empty: not given."""

    serial: str | None
    runtimes: tuple[str, ...]
    binary: Path | None
    max_celsius: float
    max_cool_down_seconds: float

    def check(self, backends: Sequence[str]) -> None:
        """Check that the options have an effect, and that the tool exists.

        Raises:
            UserError: names the option.
        """
        options = {"--serial": self.serial, "--runtime": self.runtimes, "--binary": self.binary}
        for name, value in options.items():
            if value and ANDROID not in backends:
                raise UserError(f"{name} is for devices: add --backend {ANDROID}")
        if self.binary is not None and not self.binary.is_file():
            raise UserError(f"no tool at {self.binary}")


@dataclass(frozen=True)
class DeviceJob:
    """Connected devices, and what to run on them."""

    devices: tuple[AdbDevice, ...]
    plan: DeviceBenchPlan


def prepare_devices(
    options: AndroidOptions, paths: Sequence[Path], config: BenchConfig
) -> DeviceJob:
    """Open the artifacts and find the devices, before anything runs.

    Raises:
        UserError: see `open_artifact`, `choose_runtimes` and `find_devices`.
    """
    artifacts = [open_artifact(path) for path in paths]
    plan = DeviceBenchPlan(
        models=choose_runtimes(artifacts, options.runtimes, options.binary),
        config=config,
        binary=options.binary,
        max_celsius=options.max_celsius,
        max_cool_down_seconds=options.max_cool_down_seconds,
    )
    return DeviceJob(tuple(find_devices(options.serial)), plan)


def run_device_job(job: DeviceJob, terminal: Terminal) -> DeviceBenchOutcome:
    """Run all models, with one line of progress per device.

    Raises:
        UserError: no device completed a run.
    """
    with terminal.progress() as bar:
        tasks = {
            device.serial: bar.add_task("starting", total=1.0, detail=device.serial)
            for device in job.devices
        }

        def update(serial: str, step: str, share: float) -> None:
            bar.update(tasks[serial], description=step, completed=share)

        return run_on_devices(job.devices, job.plan, update)


def print_device_runs(outcome: DeviceBenchOutcome, terminal: Terminal, *, threads: int) -> None:
    """Print statistics of tools and facts about the devices, which a report's tables lack."""
    table = tool_table(outcome.runs, threads=threads)
    if table is not None:
        terminal.out.print(table)
    for run in outcome.runs:
        if isinstance(run.output, ToolOutput):
            for issue in run.validity_issues:
                terminal.note(f"not valid: {run.artifact.path.name}: {issue}")
    for line in device_lines(outcome.runs):
        typer.echo(line)
