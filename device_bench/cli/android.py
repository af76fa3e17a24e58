"""`lvt-bench --backend android`: from options to runs on devices, with progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from device_bench.devices.adb.device import Device, find_devices
from device_bench.devices.adb.report import device_lines, device_names, tool_table
from device_bench.devices.adb.runner import ANDROID, Contest, Outcome, entries, run_contest
from device_bench.devices.adb.tool_output import Printed
from device_bench.measure.preset import Protocol
from export.artifact.reader import open_artifact
from lvt.errors import UserError
from lvt.support.terminal import Terminal


@dataclass(frozen=True)
class AndroidOptions:
    """What the command line says of devices; None or empty: not given."""

    serial: str | None
    runtimes: tuple[str, ...]
    binary: Path | None
    cool_to: float
    cool_seconds: float

    def check(self, backends: Sequence[str]) -> None:
        """Refuses options that would do nothing, and a tool that is not there.

        Raises:
            UserError: names the option.
        """
        given = {"--serial": self.serial, "--runtime": self.runtimes, "--binary": self.binary}
        for name, value in given.items():
            if value and ANDROID not in backends:
                raise UserError(f"{name} is for devices: add --backend {ANDROID}")
        if self.binary is not None and not self.binary.is_file():
            raise UserError(f"no tool at {self.binary}")


@dataclass(frozen=True)
class Prepared:
    """Devices that are there, and what to do on them."""

    devices: tuple[Device, ...]
    contest: Contest


def prepare_devices(
    options: AndroidOptions,
    paths: Sequence[Path],
    *,
    threads: int,
    runs: int,
    seconds: float,
    rule: Protocol,
) -> Prepared:
    """Opens the artifacts and finds the devices, before anything runs.

    Raises:
        UserError: see `entries` and `find_devices`.
    """
    artifacts = [open_artifact(path) for path in paths]
    contest = Contest(
        entries=entries(artifacts, options.runtimes, options.binary),
        binary=options.binary,
        threads=threads,
        runs=runs,
        seconds=seconds,
        rule=rule,
        cool_to=options.cool_to,
        cool_seconds=options.cool_seconds,
    )
    return Prepared(tuple(find_devices(options.serial)), contest)


def run_on_devices(terminal: Terminal, prepared: Prepared) -> Outcome:
    """Runs, with a line of progress for each device.

    Raises:
        UserError: no device got through.
    """
    with terminal.progress() as bar:
        lines = {
            device.serial: bar.add_task("starting", total=1.0, detail=device.serial)
            for device in prepared.devices
        }

        def tick(serial: str, step: str, share: float) -> None:
            bar.update(lines[serial], description=step, completed=share)

        return run_contest(prepared.devices, prepared.contest, tick)


def print_devices(outcome: Outcome, terminal: Terminal, *, threads: int) -> None:
    """What the tables of a result file do not hold: the devices, and figures without samples."""
    names = device_names(list(dict.fromkeys(run.device for run in outcome.runs)))
    told = [run for run in outcome.runs if isinstance(run.timed, Printed)]
    if told:
        terminal.out.print(tool_table(told, names, threads=threads))
    for run in told:
        for reason in run.reasons:
            terminal.note(f"not valid: {run.artifact.path.name}: {reason}")
    for line in device_lines(outcome.runs, names):
        typer.echo(line)
