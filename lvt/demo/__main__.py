"""`python -m lvt.demo SEED -o scene.png` writes a generated scene to a picture file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lvt.errors import UserError
from lvt.support.command import command
from lvt.support.options import parse_size


def scene(
    seed: Annotated[int, typer.Argument(min=0, help="Seed of the scene; 0 to 9999 are held out.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture file to write.")],
    size: Annotated[
        str, typer.Option(metavar="HxW", help="Size of the picture, at least 128x160.")
    ] = "512x640",
) -> None:
    """Generate one scene of the demo."""
    with command(verbose=False):
        from PIL import Image

        from lvt.demo.scenes import make_scene
        from lvt.visualisation import save_picture

        height, width = parse_size(size)
        if height < 128 or width < 160:
            raise UserError(f"--size {size} is too small for a scene; at least 128x160")
        save_picture(Image.fromarray(make_scene(seed, (height, width)).image), out)


if __name__ == "__main__":
    typer.run(scene)
