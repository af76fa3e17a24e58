"""Draws what `lvt-core.jar run` answered: `python android_demo/draw.py MODEL ANSWERS OUT`.

MODEL is the artifact, for its manifest's names and colours; ANSWERS holds the printed lines, of
which the first is drawn, to the picture OUT.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from export.artifact.reader import open_artifact
from lvt.data.images import read_image
from lvt.panoptic.fusion import PanopticMap, Segment
from lvt.visualisation import panoptic_overlay, save_picture

_VOID = -1


def main(model: Path, answers: Path, out: Path) -> None:
    """Writes the overlay of the first answer."""
    answer = json.loads(answers.read_text().splitlines()[0])
    artifact = open_artifact(model)
    assert artifact.labels is not None
    colours = np.asarray(Image.open(answer["map"]), np.int32)
    ids = colours @ np.array([1, 256, 65536], np.int32)  # COCO's colours
    kept = {segment["id"] for segment in answer["segments"]}
    ids = np.where(np.isin(ids, list(kept)), ids, _VOID)
    things = [segment for segment in answer["segments"] if segment["score"] is not None]
    numbers = {segment["id"]: number for number, segment in enumerate(things)}
    segments = tuple(
        Segment(s["id"], s["label"], s["area"], numbers.get(s["id"])) for s in answer["segments"]
    )
    scores = np.array([segment["score"] for segment in things], np.float32)
    image = read_image(Path(answer["image"]))
    panoptic = PanopticMap(ids.astype(np.int32), segments, _VOID)
    save_picture(panoptic_overlay(image, panoptic, scores, artifact.labels), out)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
