"""`lvt-train`: trains the panoptic model, on drawn scenes or on a user's pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import command
from lvt.support.options import AsJson, Verbose, Version, parse_size

if TYPE_CHECKING:
    from rich.table import Table

    from lvt.training.loop import StepReport
    from lvt.training.run import TrainResult

app = new_app()


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Checkpoint to write (.safetensors, float16).")],
    demo: Annotated[bool, typer.Option("--demo", help="Train on procedural scenes.")] = False,
    ckpt: Annotated[
        Path | None, typer.Option(help="Panoptic checkpoint to start from, or `demo`.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder to train on.")] = None,
    val: Annotated[Path | None, typer.Option(help="Folder to measure on.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Pictures; the checkpoint's if left out.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the optimiser.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the CPU; all if left out.")] = None,
    measure: Annotated[
        int, typer.Option(min=0, help="Pictures to measure panoptic quality on; 0 not to.")
    ] = 100,
    log: Annotated[Path | None, typer.Option(help="Append losses as JSON lines.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the state beside --out.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Train a panoptic model to the end, write a float16 checkpoint, and measure it as written.

    --demo trains the demonstration model on generated scenes. --ckpt with --data fine-tunes a
    panoptic checkpoint on a folder in COCO's panoptic format: images/, panoptic/ and panoptic.json.
    A training state is written beside the result every two minutes; --resume goes on from it.
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
        pixels = parse_size(size) if size else None

        import torch

        from lvt.training.run import TrainRequest
        from lvt.training.run import train as run

        if threads:
            torch.set_num_threads(threads)
        request = TrainRequest(
            out=out,
            checkpoint=ckpt,
            data=data,
            validation=val,
            size=pixels,
            steps=steps,
            batch=batch,
            learning_rate=learning_rate,
            seed=seed,
            resume=resume,
            measure=measure,
            log=log,
        )
        with terminal.progress() as bar:
            task = bar.add_task("training", total=None, detail="")
            first: StepReport | None = None

            def report(step: StepReport, total: int) -> None:
                nonlocal first
                first = first or step
                pace = (step.seconds - first.seconds) / max(1, step.step - first.step)
                left = pace * (total - step.step)
                losses = "  ".join(f"{name} {value:.3f}" for name, value in step.losses.items())
                bar.update(
                    task,
                    total=total,
                    completed=step.step,
                    detail=f"{step.step}/{total}  {losses}  {left / 60:.0f} min left",
                )

            result = run(request, report)
        if as_json:
            quality = result.quality.to_dict() if result.quality else None
            typer.echo(json.dumps({"path": str(result.path), "quality": quality}))
        else:
            typer.echo(f"{result.path}  {result.path.stat().st_size / 1e6:.1f} MB")
            if result.quality:
                terminal.out.print(quality_table(result))


def quality_table(result: TrainResult) -> Table:
    """Panoptic quality: the three means, then every class."""
    from rich.table import Table

    assert result.quality is not None
    report = result.quality
    table = Table(title=f"panoptic quality on {result.measured_on}", title_justify="left")
    table.add_column("class")
    for name in ("PQ", "SQ", "RQ"):
        table.add_column(name, justify="right")
    rows = [("all", report.all), ("things", report.things), ("stuff", report.stuff)]
    rows += [(result.names[label], quality) for label, quality in report.per_class.items()]
    for name, quality in rows:
        table.add_row(name, *(f"{100 * v:.1f}" for v in (quality.pq, quality.sq, quality.rq)))
    return table
