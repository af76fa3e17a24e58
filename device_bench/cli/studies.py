"""`lvt-bench baselines` and `lvt-bench rewrites`: export several models and compare them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from device_bench.cli import options as opt
from device_bench.cli.progress import progress_bar
from lvt.config import TASKS
from lvt.support.command import FAILED, command
from lvt.support.files import ensure_writable
from lvt.support.options import Verbose, choice, parse_size
from lvt.support.terminal import Terminal

if TYPE_CHECKING:
    from device_bench.measure.config import BenchProgress


def baselines(
    task: opt.BaselineTasks = None,
    size: opt.BaselineSize = None,
    threads: opt.Threads = 1,
    preset: opt.Preset = "quick",
    runs: opt.Runs = None,
    min_seconds: opt.MinSeconds = None,
    json_file: opt.JsonFile = None,
    verbose: Verbose = False,
) -> None:
    """Compare LVT with the paper's baselines.

    The baselines are MobileNetV2, PVTv2-B0, MiT-B0 and segmenters that use them. All models have
    random weights and run in ONNX Runtime. LVT is rewritten, as in every export; the others are
    unchanged models of transformers. Panoptic models take seconds per inference at the paper's
    800x1216. Figures in brackets are the paper's; its images per second are a GPU's.
    """
    with command(verbose) as terminal:
        from device_bench.measure.config import BenchConfig

        config = BenchConfig.from_preset(
            preset, threads=threads, runs=runs, min_seconds=min_seconds
        )
        input_size = parse_size(size) if size else None
        if json_file is not None:
            ensure_writable(json_file)
        with terminal.steps() as progress:
            progress("loading transformers")
            from device_bench.results.bench_report import write_json
            from device_bench.studies.baselines import BASELINES, SIZES, check_transformers
            from device_bench.studies.run_baselines import (
                baseline_tables,
                baselines_json,
                run_baselines,
            )
            from export.panoptic.limits import check_size

            all_tasks = tuple(SIZES)
            tasks = {choice(name, all_tasks, "task") for name in task or all_tasks}
            if input_size is not None:
                check_size(input_size, "each of these models")
            check_transformers()
        models = [baseline for baseline in BASELINES if baseline.task in tasks]
        with _study(terminal) as (folder, show):
            results = run_baselines(models, folder, config, show, size=input_size)
        for table in baseline_tables(results, threads=threads):
            terminal.out.print(table)
        for result in results:
            if result.baseline.remark:
                typer.echo(f"* {result.baseline.name}: {result.baseline.remark}")
            _note_issues(terminal, result.baseline.name, result.timing.validity_issues)
        if json_file is not None:
            write_json(json_file, baselines_json(results, config))


def rewrites(
    ckpt: opt.Checkpoint = None,
    task: opt.RandomModelTask = "backbone",
    size: opt.InputSize = "512x512",
    threads: opt.Threads = 1,
    preset: opt.Preset = "quick",
    runs: opt.Runs = None,
    min_seconds: opt.MinSeconds = None,
    json_file: opt.JsonFile = None,
    verbose: Verbose = False,
) -> None:
    """Measure the effect of each rewrite in ONNX Runtime.

    The first file is the unchanged reference (--no-rewrite); each further file rewrites one more
    type of module. The parity of every file is verified before it is measured.
    """
    with command(verbose) as terminal:
        from device_bench.measure.config import BenchConfig

        config = BenchConfig.from_preset(
            preset, threads=threads, runs=runs, min_seconds=min_seconds
        )
        if json_file is not None:
            ensure_writable(json_file)
        with terminal.steps() as progress:
            progress("loading the model")
            from device_bench.results.bench_report import write_json
            from device_bench.studies.rewrite_ablation import (
                ablation_json,
                ablation_table,
                measure_rewrites,
            )
            from export.plan import ExportRequest, resolve_model

            request = ExportRequest(
                "onnx",
                checkpoint=ckpt,
                task=None if ckpt else choice(task, TASKS, "task"),
                size=parse_size(size),
            )
            model = resolve_model(request)
        with _study(terminal) as (folder, show):
            steps = measure_rewrites(model, folder, config, show)
        terminal.out.print(ablation_table(steps, model, threads=threads))
        for step in steps:
            _note_issues(terminal, step.name, step.timing.validity_issues)
        if json_file is not None:
            write_json(json_file, ablation_json(steps, config))


@contextmanager
def _study(terminal: Terminal) -> Iterator[tuple[Path, BenchProgress]]:
    """A scratch folder and a progress bar. A failed export ends the command with exit code 1."""
    from export.errors import ExportError

    try:
        with progress_bar(terminal) as progress, tempfile.TemporaryDirectory() as folder:
            yield Path(folder), progress
    except ExportError as error:
        terminal.note(f"error: {error}", cause=error.__cause__)
        raise typer.Exit(FAILED) from error


def _note_issues(terminal: Terminal, name: str, issues: tuple[str, ...]) -> None:
    if issues:
        terminal.note(f"not valid: {name}: {'; '.join(issues)}")
