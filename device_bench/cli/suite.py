"""`lvt-bench suite`: run a benchmark suite and store its record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lvt.errors import UserError
from lvt.support.command import FAILED, command
from lvt.support.options import Verbose
from lvt.support.progress import Progress
from lvt.support.terminal import Terminal

if TYPE_CHECKING:
    from device_bench.suites.record import StepRecord
    from device_bench.suites.suite import Step, Suite


def suite(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME|FILE", help="Name in benchmarks/suites, or a .toml file."),
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the suites and exit.")] = False,
    machine: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of this machine. [default: by its processor]"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--step", metavar="NAME", help="Repeat this step of the record that exists; repeatable."
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of records. [default: benchmarks/results]"),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Run a benchmark suite and store its record.

    A suite is a list of commands. Their figures are stored with machine, versions, commit and
    hashes; `make figures` writes them into README and docs. Run suites on a quiet machine. Steps
    whose inputs are missing are left out, and the record says so. Exit code 1: a step failed.
    """
    with command(verbose) as terminal:
        from device_bench.suites.machine import slug, this_machine
        from device_bench.suites.record import RECORDS, read_record
        from device_bench.suites.run import repeat_steps, run_suite
        from device_bench.suites.suite import find_suite

        if show_list:
            _print_list(terminal)
            return
        if name is None:
            raise UserError("give the name of a suite; lvt-bench suite --list shows them")
        if machine is not None and machine != slug([machine]):
            raise UserError(f"--machine {machine}: use a-z, 0-9 and hyphens: {slug([machine])}")
        chosen = find_suite(name)
        here, folder = this_machine(machine), results or RECORDS
        with terminal.steps() as progress:

            def show(step: Step, done: StepRecord | None) -> None:
                _show(terminal, progress, chosen, step, done)

            if only:
                before = read_record(folder / here.name / f"{chosen.name}.json")
                record = repeat_steps(chosen, before, only, show)
            else:
                record = run_suite(chosen, here, show)
        file = record.save(folder)
        typer.echo(f"wrote {file}")
        if record.dirty:
            terminal.note("note: files differ from the commit, and the record says so")
        if any(step.status == "failed" for step in record.steps):
            raise typer.Exit(FAILED)


def _show(
    terminal: Terminal,
    progress: Progress,
    suite: Suite,
    step: Step,
    done: StepRecord | None,
) -> None:
    position = f"{suite.steps.index(step) + 1}/{len(suite.steps)}"
    if done is None:
        progress(f"{position} {step.name}")
    elif done.reason is not None:
        terminal.note(f"{position} {step.name}: {done.status}: {done.reason}")
    else:
        terminal.note(f"{position} {step.name}: {done.seconds:.0f} s")


def _print_list(terminal: Terminal) -> None:
    from rich.table import Table

    from device_bench.suites.suite import read_suite, suite_files

    table = Table("suite", "measures", "weights", "steps", "minutes")
    suites = [read_suite(file) for file in suite_files()]
    for suite in suites:
        table.add_row(
            suite.name, suite.title, suite.weights, str(len(suite.steps)), f"{suite.minutes:g}"
        )
    table.add_section()
    table.add_row("all", "", "", "", f"{sum(suite.minutes for suite in suites):g}")
    terminal.out.print(table)
