"""`lvt-run`: one artifact, one picture, one answer to look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

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
        typer.Option("--out", "-o", help="Overlay to write; IMAGE_overlay.png by default."),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            help="Write the map: semantic: each pixel its class; panoptic: COCO's PNG, and a JSON "
            "beside it."
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Classification: classes to show.")] = 5,
    threads: RuntimeThreads = 0,
    as_json: AsJson = False,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Run an artifact on a picture: best classes, or a segmentation overlay.

    How the picture is prepared comes from the artifact's manifest only.
    """
    with command(verbose) as terminal:
        from export.artifact.reader import manifest_path, open_artifact
        from export.predict.render import (
            show_classes,
            show_panoptic,
            show_semantic,
            write_coco,
            write_labels,
        )
        from export.targets import load_target
        from lvt.data.images import read_image
        from lvt.panoptic.fusion import PanopticMap

        opened = open_artifact(artifact)
        if opened.labels is None:
            raise UserError(f"{artifact.name} is a bare backbone; there is nothing to show of it")
        if png is not None and opened.spec.task == "classification":
            raise UserError(f"--png is for maps, and {artifact.name} classifies")
        if png is not None and png.suffix.lower() != ".png":
            raise UserError(f"--png {png}: the name must end in .png")
        destination = out or Path(f"{image.stem}_overlay.png")
        written = [destination] if png is None else [destination, png, png.with_suffix(".json")]
        if opened.spec.task != "classification":
            for file in written:
                ensure_writable(file, [image, artifact, manifest_path(artifact)])
        terminal.notes(opened.notes)
        picture = read_image(image)
        session = load_target(opened.target).open_session(artifact, threads=threads)
        outputs = session.run(opened.preprocessing(picture))
        answer = opened.answer(outputs, (picture.shape[0], picture.shape[1]))
        if isinstance(answer, list):
            shown = show_classes(answer[:top], opened.labels)
        elif isinstance(answer, PanopticMap):
            scores = outputs["scores"][outputs["scores"] > 0]
            shown = show_panoptic(picture, answer, scores, opened.labels, destination)
            if png is not None and opened.spec.panoptic is not None:
                things = opened.spec.panoptic.things
                shown.data["png"] = write_coco(answer, opened.labels, things, image, png)
        else:
            assert answer is not None
            shown = show_semantic(picture, answer, opened.labels, destination)
            if png is not None:
                shown.data["png"] = write_labels(answer, png)
        if as_json:
            typer.echo(json.dumps({"artifact": str(artifact), "image": str(image), **shown.data}))
        else:
            terminal.out.print(shown.table)
            if "overlay" in shown.data:
                typer.echo(f"overlay written to {destination}")
