"""The command `lvt-run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import command
from lvt.support.files import ensure_writable
from lvt.support.options import AsJson, RuntimeThreads, Verbose, Version

app = new_app()


@app.command()
def run(
    artifact: Annotated[Path, typer.Argument(help="A model file written by lvt-export.")],
    image: Annotated[Path, typer.Argument(help="A picture.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Overlay to write. [default: IMAGE_overlay.png]"),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            help="Also write the label map. Semantic: class of each pixel. Panoptic: COCO's PNG, "
            "and a JSON file beside it."
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Classification: number of classes.")] = 5,
    threads: RuntimeThreads = 0,
    as_json: AsJson = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Run an artifact on a picture: print the best classes, or write a segmentation overlay.

    The picture is preprocessed as the artifact's manifest specifies.
    """
    with command(verbose) as terminal:
        from export.artifact.files import manifest_path
        from export.artifact.reader import open_artifact
        from export.predict.prediction import ClassPrediction
        from export.predict.render import prediction_table
        from lvt.data.images import read_image
        from lvt.visualisation import save_picture

        opened = open_artifact(artifact)
        if opened.labels is None:
            raise UserError(f"{artifact.name} is a bare backbone: it has no classes to predict")
        _check_map_file(png, opened.spec.task, artifact)
        overlay = out or Path(f"{image.stem}_overlay.png")
        if opened.spec.task != "classification":
            files = [overlay] if png is None else [overlay, png, png.with_suffix(".json")]
            if png == overlay:
                raise UserError(f"--png {png}: the overlay has the same name; choose another")
            for file in files:
                ensure_writable(file, [image, artifact, manifest_path(artifact)])
        terminal.notes(opened.notes)
        picture = read_image(image)
        prediction = opened.predictor(threads=threads).predict(picture)
        data: dict[str, Any] = {"artifact": str(artifact), "image": str(image)}
        if isinstance(prediction, ClassPrediction):
            data |= prediction.to_dict(top)
        else:
            save_picture(prediction.overlay(picture), overlay)
            data |= {"overlay": str(overlay), **prediction.to_dict()}
            if png is not None:
                panoptic = opened.spec.panoptic
                _write_map(prediction, 0 if panoptic is None else panoptic.things, image, png)
                data["png"] = str(png)
        if as_json:
            typer.echo(json.dumps(data))
        else:
            terminal.out.print(prediction_table(prediction, top))
            if "overlay" in data:
                typer.echo(f"overlay written to {overlay}")


def _check_map_file(png: Path | None, task: str, artifact: Path) -> None:
    """Refuses `--png` for a classifier, or with another suffix.

    Raises:
        UserError: it does not fit.
    """
    if png is None:
        return
    if task == "classification":
        raise UserError(f"--png is for label maps, and {artifact.name} is a classifier")
    if png.suffix.lower() != ".png":
        raise UserError(f"--png {png}: the name must end in .png")


def _write_map(prediction: Any, things: int, image: Path, png: Path) -> None:
    from export.predict.prediction import SemanticPrediction
    from export.predict.render import write_coco, write_label_map

    if isinstance(prediction, SemanticPrediction):
        write_label_map(prediction.label_map, png)
    else:
        write_coco(prediction, things, image, png)
