"""Draws the gallery: `python docs/gallery.py FLOAT INT8 FOLDER`; `make gallery` runs it.

FLOAT and INT8 are artifacts of the demonstration model. Nothing is chosen by taste: the first
held-out scenes are shown, those that the float artifact got most wrong, and those where int8 says
something else on the most pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from export.artifact.reader import Artifact, open_artifact
from export.predict.prediction import PanopticPrediction
from lvt.demo import HELD_OUT_SEEDS
from lvt.demo.dataset import scene_sample
from lvt.panoptic.quality import PanopticQuality
from lvt.visualisation import save_picture

SIZE = (512, 640)
"""Of the scenes, in pixels; the artifact makes them smaller for itself."""
LOOKED_AT = 60
"""Scenes among which the worst are looked for."""
_WIDTH, _CAPTION, _GAP = 320, 22, 4


@dataclass(frozen=True)
class Look:
    """The prediction of one artifact for one scene."""

    seed: int
    classes: NDArray[np.int64]  # (H, W), -1 where the map is void
    picture: Image.Image
    quality: float  # panoptic quality of this scene alone, in percent

    @property
    def caption(self) -> str:
        return f"scene {self.seed}: PQ {self.quality:.0f}"


def look(artifact: Artifact, seed: int) -> Look:
    """Runs an artifact on a held-out scene."""
    sample = scene_sample(seed, SIZE)
    prediction = artifact.predict(sample.image)
    assert isinstance(prediction, PanopticPrediction)
    assert artifact.spec.panoptic is not None
    measured = PanopticQuality(artifact.spec.panoptic.things, artifact.spec.panoptic.stuff)
    measured.add(prediction.panoptic, sample.truth)
    classes = np.full(SIZE, -1, np.int64)
    for segment in prediction.panoptic.segments:
        classes[prediction.panoptic.ids == segment.id] = segment.label
    # Without the legend: names are in the picture.
    drawn = prediction.overlay(sample.image).crop((0, 0, SIZE[1], SIZE[0]))
    return Look(seed, classes, drawn, 100 * measured.report().all.pq)


def disagreement(one: Look, other: Look) -> NDArray[np.bool_]:
    """Pixels (H, W) to which two artifacts give different classes."""
    return one.classes != other.classes


def sheet(cells: Iterable[tuple[Image.Image, str]], columns: int) -> Image.Image:
    """Pictures side by side, each with a line below it."""
    height = _WIDTH * SIZE[0] // SIZE[1]
    placed = list(cells)
    rows = -(-len(placed) // columns)
    across, down = _WIDTH + _GAP, height + _CAPTION + _GAP
    canvas = Image.new("RGB", (columns * across - _GAP, rows * down - _GAP), (250, 250, 250))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=14)
    for index, (picture, caption) in enumerate(placed):
        left, top = index % columns * across, index // columns * down
        canvas.paste(picture.resize((_WIDTH, height), Image.Resampling.LANCZOS), (left, top))
        draw.text((left + 4, top + height + 2), caption, fill=(40, 40, 40), font=font)
    return canvas


def main(float_file: Path, int8_file: Path, folder: Path) -> None:
    """Writes scenes.jpg, worst.jpg and int8.jpg."""
    artifacts = [open_artifact(float_file), open_artifact(int8_file)]
    pairs = [
        [look(artifact, seed) for artifact in artifacts] for seed in HELD_OUT_SEEDS[:LOOKED_AT]
    ]
    first = [(one.picture, one.caption) for one, _ in pairs[:6]]
    save_picture(sheet(first, 3), folder / "scenes.jpg")
    worst = sorted((found for found, _ in pairs), key=lambda found: found.quality)[:3]
    cells = [(one.picture, one.caption) for one in worst]
    save_picture(sheet(cells, 3), folder / "worst.jpg")
    apart = sorted(pairs, key=lambda pair: -disagreement(*pair).mean())[:2]
    cells = []
    for one, other in apart:
        differ = disagreement(one, other)
        cells += [
            (one.picture, f"scene {one.seed}, float: PQ {one.quality:.0f}"),
            (other.picture, f"int8: PQ {other.quality:.0f}"),
            (Image.fromarray(~differ), f"other classes: {differ.mean():.1%} of pixels"),
        ]
    save_picture(sheet(cells, 3), folder / "int8.jpg")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
