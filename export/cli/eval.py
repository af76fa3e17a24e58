"""The command `lvt-eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.cli.options import DataSplit, DemoScenes, NamesFile
from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import command
from lvt.support.options import AsJson, RuntimeThreads, Verbose, Version, parse_size

if TYPE_CHECKING:
    from rich.table import Table

    from export.evaluation.result import Evaluation
    from export.predict.predictor import Predictor

app = new_app()


@app.command()
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(help="An artifact; or a checkpoint (or `demo`) to evaluate the reference."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Panoptic: COCO panoptic JSON, PNGs and pictures. Semantic: images/ with masks/ "
            "(or ADE20K's annotations/). Classification: one folder per class."
        ),
    ] = None,
    split: DataSplit = None,
    demo_scenes: DemoScenes = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of pictures.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Checkpoint: input size, if it has none.")
    ] = None,
    names: NamesFile = None,
    official: Annotated[
        bool, typer.Option("--official", help="Checkpoint: use the official transform.")
    ] = False,
    threads: RuntimeThreads = 0,
    as_json: AsJson = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Measure panoptic quality, mean IoU, or top-1 and top-5 of an artifact or a checkpoint."""
    with command(verbose) as terminal:
        from export.artifact.files import manifest_path
        from export.artifact.reader import open_artifact
        from export.evaluation.evaluate import evaluate as run
        from export.evaluation.labelled_data import LabelledData
        from export.predict.predictor import reference_predictor

        labelled = LabelledData(data, demo_scenes, split)
        predictor: Predictor
        if manifest_path(model).is_file():
            if size or official or names:
                raise UserError(
                    "--size, --names and --official are for checkpoints; "
                    "an artifact has fixed values"
                )
            predictor = open_artifact(model).predictor(threads=threads)
        else:
            predictor = reference_predictor(
                model,
                size=parse_size(size) if size else None,
                names=names,
                official_transform=official,
            )
        terminal.notes(predictor.notes)
        pictures = labelled.open(predictor.spec.task, predictor.labels.names)
        with terminal.progress() as bar:
            task = bar.add_task("evaluating", total=None, detail="")
            result = run(
                predictor,
                pictures,
                limit=limit,
                progress=lambda done, total: bar.update(
                    task, completed=done, total=total, detail=f"{done}/{total}"
                ),
            )
        terminal.notes(result.notes)
        if as_json:
            typer.echo(json.dumps(result.to_dict()))
        else:
            terminal.out.print(result_table(result))


def result_table(result: Evaluation) -> Table:
    """Main figures, then figures by size, then by class."""
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
