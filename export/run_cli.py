"""`lvt-run`: one artifact, one picture, one answer to look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lvt.console import command
from lvt.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from export.artifact import Artifact
    from lvt.console import Terminal

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.command()
def run(
    artifact: Annotated[Path, typer.Argument(help="A model file written by lvt-export.")],
    image: Annotated[Path, typer.Argument(help="A picture.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Overlay to write; IMAGE_overlay.png by default."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Classification: classes to show.")] = 5,
    threads: Annotated[int, typer.Option(min=0, help="0: the runtime's choice.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show what other libraries say.")
    ] = False,
) -> None:
    """Run an artifact on a picture: best classes, or a segmentation overlay.

    How the picture is prepared comes from the artifact's manifest only.
    """
    with command(verbose) as terminal:
        from export.artifact import open_artifact
        from export.targets import load_target
        from lvt.preprocessing import read_image

        opened = open_artifact(artifact)
        if opened.labels is None:
            raise UserError(f"{artifact.name} is a bare backbone; there is nothing to show of it")
        picture = read_image(image)
        session = load_target(opened.target).open_session(artifact, threads=threads)
        logits = session.run(opened.preprocessing(picture))["logits"]
        if opened.spec.task == "classification":
            result = _classification(terminal, opened, logits, top, quiet=as_json)
        else:
            destination = out or Path(f"{image.stem}_overlay.png")
            result = _semantic(terminal, opened, picture, logits, destination, quiet=as_json)
        if as_json:
            typer.echo(json.dumps({"artifact": str(artifact), "image": str(image), **result}))


def _classification(
    terminal: Terminal, artifact: Artifact, logits: NDArray[np.float32], top: int, *, quiet: bool
) -> dict[str, Any]:
    from rich.table import Table

    from lvt.postprocessing import top_classes

    assert artifact.labels is not None
    names = artifact.labels.names
    best = top_classes(logits, top)
    if not quiet:
        table = Table("class", "name")
        table.add_column("probability", justify="right")
        for score in best:
            table.add_row(str(score.index), names[score.index], f"{score.probability:.1%}")
        terminal.out.print(table)
    return {
        "classes": [
            {"index": s.index, "name": names[s.index], "probability": s.probability} for s in best
        ]
    }


def _semantic(
    terminal: Terminal,
    artifact: Artifact,
    picture: NDArray[np.uint8],
    logits: NDArray[np.float32],
    destination: Path,
    *,
    quiet: bool,
) -> dict[str, Any]:
    import numpy as np

    from lvt.files import atomic_folder, publish
    from lvt.postprocessing import label_map
    from lvt.visualisation import semantic_overlay

    assert artifact.labels is not None
    labels = label_map(logits, artifact.size, (picture.shape[0], picture.shape[1]))
    overlay = semantic_overlay(picture, labels, artifact.labels)
    with atomic_folder(destination.parent) as scratch:
        try:
            overlay.save(scratch / destination.name)
        except ValueError as error:
            raise UserError(f"cannot write {destination}: {error}") from error
        publish(scratch / destination.name, destination)
    if not quiet:
        terminal.out.print(f"overlay written to {destination}")
    shares = np.bincount(labels.ravel(), minlength=len(artifact.labels.names)) / labels.size
    return {
        "overlay": str(destination),
        "shares": {
            name: float(share)
            for name, share in zip(artifact.labels.names, shares, strict=True)
            if share > 0
        },
    }
