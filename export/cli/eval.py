"""`lvt-eval`: how good is it, on labelled pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.cli.options import DataSplit, NamesFile
from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import command
from lvt.support.options import AsJson, RuntimeThreads, Verbose, Version, parse_size

if TYPE_CHECKING:
    from rich.table import Table

    from export.predict.evaluation import Evaluation

app = new_app()


@app.command()
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(help="An artifact; or a checkpoint (or `demo`): the reference."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Panoptic: COCO panoptic JSON, PNGs and pictures. Semantic: images/ with masks/ "
            "(or ADE20K's annotations/). Classification: one folder a class."
        ),
    ] = None,
    split: DataSplit = None,
    demo_scenes: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Instead of --data: so many held-out scenes."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many pictures.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Checkpoint: input size, if it has none.")
    ] = None,
    names: NamesFile = None,
    official: Annotated[
        bool, typer.Option("--official", help="Checkpoint: the official transform, any size.")
    ] = False,
    threads: RuntimeThreads = 0,
    as_json: AsJson = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Panoptic quality, mean IoU, or top-1 and top-5 of an artifact or of the reference."""
    with command(verbose) as terminal:
        from export.artifact.reader import manifest_path
        from export.predict.evaluation import (
            LabelledData,
            Subject,
            open_artifact_subject,
            open_reference_subject,
        )
        from export.predict.evaluation import evaluate as run

        labelled = LabelledData(data, demo_scenes, split)
        subject: Subject
        if manifest_path(model).is_file():
            if size or official or names:
                raise UserError(
                    "--size, --names and --official are for checkpoints; an artifact's are fixed"
                )
            subject = open_artifact_subject(model, threads=threads)
            terminal.notes(subject.notes)
        else:
            parsed = parse_size(size) if size else None
            subject = open_reference_subject(
                model, size=parsed, names=names, official_transform=official
            )
            terminal.notes(subject.notes)
        samples = labelled.open(subject.spec.task, subject.labels.names)
        with terminal.progress() as bar:
            task = bar.add_task("evaluating", total=None, detail="")
            result = run(
                subject,
                samples,
                limit=limit,
                tick=lambda done, total: bar.update(
                    task, completed=done, total=total, detail=f"{done}/{total}"
                ),
            )
        terminal.notes(result.notes)
        if as_json:
            typer.echo(json.dumps(result.to_dict()))
        else:
            terminal.out.print(result_table(result))


def result_table(result: Evaluation) -> Table:
    """Main figures first, then by size, then each class."""
    from rich.table import Table

    table = Table(title=f"{result.images} pictures", title_justify="left")
    table.add_column("figure")
    table.add_column("%", justify="right")
    for name, value in result.figures.items():
        table.add_row(name, f"{value:.2f}")
    for section in (result.per_size, result.per_class):
        table.add_section()
        for name, value in section.items():
            table.add_row(name, f"{value:.1f}")
    return table
