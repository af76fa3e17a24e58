"""`lvt-bench baselines` and `rewrites`: models exported for the occasion and timed in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from device_bench.cli.options import (
    JsonFile,
    MinSeconds,
    PresetName,
    Runs,
    Threads,
    chosen_protocol,
    least_of,
)
from lvt.config import TASKS
from lvt.support.command import FAILED, command
from lvt.support.files import ensure_writable
from lvt.support.options import Verbose, choice, parse_size
from lvt.support.terminal import Terminal

if TYPE_CHECKING:
    from device_bench.measure.preset import Protocol

M = TypeVar("M")


def baselines(
    task: Annotated[
        list[str] | None,
        typer.Option(help="backbone, semantic or panoptic; may be repeated. [default: all]"),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Input, HEIGHTxWIDTH. [default: what the paper counts at]"),
    ] = None,
    threads: Threads = 1,
    preset: PresetName = "quick",
    runs: Runs = None,
    min_seconds: MinSeconds = None,
    json_file: JsonFile = None,
    verbose: Verbose = False,
) -> None:
    """Time LVT beside MobileNetV2, PVTv2-B0, MiT-B0 and what segments with them.

    All have random weights and run in ONNX Runtime. LVT is rewritten for it, as every export is;
    the others are as transformers has them. Panoptic models take seconds an inference, at the
    paper's 800x1216. Figures in brackets are the paper's, whose images a second are a GPU's.
    """
    with command(verbose) as terminal:
        rule = chosen_protocol(preset)
        given_size = parse_size(size) if size else None
        if json_file is not None:
            ensure_writable(json_file)
        with terminal.steps() as progress:
            progress("loading transformers")
            from device_bench.results.write import write_results
            from device_bench.studies.baselines import BASELINES, SIZES, check_transformers
            from device_bench.studies.run_baselines import (
                baseline_tables,
                baselines_json,
                run_baselines,
            )
            from export.panoptic.graph import check_size

            known = tuple(SIZES)
            chosen = {choice(name, known, "task") for name in task or known}
            if given_size is not None:
                check_size(given_size, "each of these models")
            check_transformers()
        entries = [entry for entry in BASELINES if entry.task in chosen]
        results = _measured(
            terminal,
            partial(run_baselines, entries, size=given_size),
            threads=threads,
            rule=rule,
            least=least_of(rule, runs, min_seconds),
        )
        for table in baseline_tables(results, threads=threads):
            terminal.out.print(table)
        for result in results:
            if result.baseline.remark:
                typer.echo(f"* {result.baseline.name}: {result.baseline.remark}")
            if result.timing.reasons:
                reasons = "; ".join(result.timing.reasons)
                terminal.note(f"not valid: {result.baseline.name}: {reasons}")
        if json_file is not None:
            data = baselines_json(results, threads=threads, rule=rule)
            write_results(json_file, data)


def rewrites(
    ckpt: Annotated[
        Path | None, typer.Option(help="Checkpoint, or `demo`. Without: random weights.")
    ] = None,
    task: Annotated[str, typer.Option(help="Of a model with random weights.")] = "backbone",
    size: Annotated[str, typer.Option(help="Input, HEIGHTxWIDTH.")] = "512x512",
    threads: Threads = 1,
    preset: PresetName = "quick",
    runs: Runs = None,
    min_seconds: MinSeconds = None,
    json_file: JsonFile = None,
    verbose: Verbose = False,
) -> None:
    """Time what each rewrite is worth in ONNX Runtime.

    The first file is the reference as it is (--no-rewrite); at each further step one more kind of
    module is rewritten. Every file proves its parity before it is timed.
    """
    with command(verbose) as terminal:
        rule = chosen_protocol(preset)
        if json_file is not None:
            ensure_writable(json_file)
        with terminal.steps() as progress:
            progress("loading the model")
            from device_bench.results.write import write_results
            from device_bench.studies.rewrite_ablation import (
                measure_rewrites,
                rewrites_json,
                rewrites_table,
            )
            from export.plan import ExportRequest, resolve_model

            job = resolve_model(
                ExportRequest(
                    "onnx",
                    checkpoint=ckpt,
                    task=None if ckpt else choice(task, TASKS, "task"),
                    size=parse_size(size),
                )
            )
        steps = _measured(
            terminal,
            partial(measure_rewrites, job),
            threads=threads,
            rule=rule,
            least=least_of(rule, runs, min_seconds),
        )
        terminal.out.print(rewrites_table(steps, job, threads=threads))
        for step in steps:
            if step.timing.reasons:
                terminal.note(f"not valid: {step.name}: {'; '.join(step.timing.reasons)}")
        if json_file is not None:
            data = rewrites_json(steps, threads=threads, rule=rule)
            write_results(json_file, data)


def _measured(
    terminal: Terminal,
    measure: Callable[..., list[M]],
    *,
    threads: int,
    rule: Protocol,
    least: tuple[int, float],
) -> list[M]:
    """What `measure` finds with a scratch folder, the figures given and a progress bar.

    Ends the command if an export fails.
    """
    from export.errors import ExportError

    try:
        with terminal.progress() as bar, tempfile.TemporaryDirectory() as folder:
            shown = bar.add_task("starting", total=1.0, detail="")
            return measure(
                Path(folder),
                threads=threads,
                runs=least[0],
                seconds=least[1],
                rule=rule,
                tick=lambda step, share: bar.update(shown, description=step, completed=share),
            )
    except ExportError as error:
        terminal.note(f"error: {error}", cause=error.__cause__)
        raise typer.Exit(FAILED) from error
