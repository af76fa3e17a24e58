"""`lvt-train`: trains the demo model, or fine-tunes a panoptic checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import command
from lvt.support.options import AsJson, Verbose, Version, parse_size
from lvt.support.terminal import Terminal
from lvt.training.request import DEMO_DEFAULTS, FINE_TUNING_DEFAULTS, TrainRequest

if TYPE_CHECKING:
    from rich.table import Table

    from lvt.training.loop import StepReport
    from lvt.training.run import TrainResult

app = new_app()


def _defaults(name: str) -> str:
    """The default values of an option, for its help text."""
    demo, fine_tuning = getattr(DEMO_DEFAULTS, name), getattr(FINE_TUNING_DEFAULTS, name)
    return f"default: {demo} with --demo, {fine_tuning} with --data"


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Checkpoint to write (.safetensors, float16).")],
    demo: Annotated[
        bool, typer.Option("--demo", help="Train the demo model on generated scenes.")
    ] = False,
    ckpt: Annotated[
        Path | None, typer.Option(help="Panoptic checkpoint to fine-tune, or `demo`.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the training data.")] = None,
    val: Annotated[Path | None, typer.Option(help="Folder of the validation data.")] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Size of the pictures (default: the checkpoint's)."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help=f"Optimiser steps ({_defaults('steps')}).")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help=f"Pictures in a batch ({_defaults('batch')}).")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help=f"Highest learning rate ({_defaults('learning_rate')})."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads (default: one for each core).")
    ] = None,
    measure: Annotated[
        int,
        typer.Option(min=0, help="Pictures for the final evaluation of panoptic quality; 0: none."),
    ] = 100,
    log: Annotated[
        Path | None, typer.Option(help="File to append losses to, as JSON lines.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the training state beside --out.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Train a panoptic model, write a float16 checkpoint, and evaluate that checkpoint.

    --demo trains the demo model on generated scenes. --ckpt with --data fine-tunes a panoptic
    checkpoint on a folder in COCO's panoptic format: images/, panoptic/ and panoptic.json. The
    training state is saved beside --out every two minutes; --resume continues from it.
    """
    with command(verbose) as terminal:
        if demo == (data is not None):
            raise UserError("give either --demo, or --ckpt and --data")
        if demo and (ckpt or val):
            raise UserError("--demo starts from scratch; leave out --ckpt and --val")
        if out.suffix != ".safetensors":
            raise UserError(f"--out {out}: the name of a checkpoint ends in .safetensors")
        if data is not None and ckpt is None:
            raise UserError("--data needs --ckpt, a checkpoint to start from")
        if learning_rate is not None and not 0 < learning_rate < 1:
            raise UserError(f"--learning-rate {learning_rate}: give a number between 0 and 1")
        request = TrainRequest(
            out=out,
            checkpoint=ckpt,
            data=data,
            validation=val,
            size=parse_size(size) if size else None,
            steps=steps,
            batch=batch,
            learning_rate=learning_rate,
            seed=seed,
            resume=resume,
            evaluated=measure,
            log=log,
        )

        import torch

        from lvt.training import run

        if threads:
            torch.set_num_threads(threads)
        with _progress(terminal) as report:
            result = run.train(request, report)
        if as_json:
            quality = result.quality.to_dict() if result.quality else None
            typer.echo(json.dumps({"path": str(result.path), "quality": quality}))
        else:
            typer.echo(f"{result.path}  {result.path.stat().st_size / 1e6:.1f} MB")
            if result.quality:
                terminal.out.print(quality_table(result))


@contextmanager
def _progress(terminal: Terminal) -> Iterator[Callable[[StepReport, int], None]]:
    """A progress bar with losses and remaining time; yields its update after a step."""
    with terminal.progress() as bar:
        task = bar.add_task("training", total=None, detail="")
        first: StepReport | None = None

        def report(step: StepReport, total: int) -> None:
            nonlocal first
            first = first or step
            seconds_a_step = (step.seconds - first.seconds) / max(1, step.step - first.step)
            minutes_left = seconds_a_step * (total - step.step) / 60
            losses = "  ".join(f"{name} {value:.3f}" for name, value in step.losses.items())
            bar.update(
                task,
                total=total,
                completed=step.step,
                detail=f"{step.step}/{total}  {losses}  {minutes_left:.0f} min left",
            )

        yield report


def quality_table(result: TrainResult) -> Table:
    """Panoptic quality: the means of all classes, things and stuff, then every class."""
    from rich.table import Table

    assert result.quality is not None
    quality = result.quality
    table = Table(title=f"panoptic quality on {result.evaluated_on}", title_justify="left")
    table.add_column("class")
    for column in ("PQ", "SQ", "RQ"):
        table.add_column(column, justify="right")
    rows = [("all", quality.all), ("things", quality.things), ("stuff", quality.stuff)]
    rows += [(result.names[label], values) for label, values in quality.per_class.items()]
    for name, values in rows:
        table.add_row(name, *(f"{100 * v:.1f}" for v in (values.pq, values.sq, values.rq)))
    return table
