"""The command `lvt-eval`."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.capabilities import installed, target_info
from export.cli.options import DataSplit, DemoScenes, NamesFile
from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import command
from lvt.support.options import AsJson, RuntimeThreads, Verbose, Version, parse_size

if TYPE_CHECKING:
    from rich.table import Table

    from export.artifact.reader import Artifact
    from export.evaluation.labelled_data import LabelledPictures
    from export.evaluation.result import Evaluation
    from export.predict.predictor import Predictor
    from export.session import Session

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
        note_of: Callable[[LabelledPictures], str] | None = None
        if manifest_path(model).is_file():
            if size or official or names:
                raise UserError(
                    "--size, --names and --official are for checkpoints; "
                    "an artifact has fixed values"
                )
            artifact = open_artifact(model)
            compiled = target_info(artifact.target).compiled
            predictor = artifact.predictor(threads=threads, on_cpu=compiled)
            if compiled:
                note_of = partial(_cpu_note, artifact, predictor.session)
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
        if note_of is not None:
            terminal.note(note_of(pictures))
        if as_json:
            typer.echo(json.dumps(result.to_dict()))
        else:
            terminal.out.print(result_table(result))


def _cpu_note(artifact: Artifact, cpu: Session, pictures: LabelledPictures) -> str:
    """Says that figures are the CPU's, and how the NPU's results differ on a few pictures."""
    from export.open_file import CPU_GUIDE
    from export.parity.compare import compare
    from export.parity.verify import SOFTWARE_PICTURES
    from export.verify.artifact_checks import parity_figures

    measured = f"measured with {CPU_GUIDE}"
    if not installed(target_info(artifact.target)):
        return f"{measured}; not compared with the NPU: its software model is not installed"
    samples = islice(pictures, SOFTWARE_PICTURES)
    images = [artifact.preprocessing(sample.image) for sample in samples]
    report = compare(cpu, artifact.open_session(), images, artifact.spec, None)
    return f"{measured}; the software HTP against it: {parity_figures(report)}"


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
