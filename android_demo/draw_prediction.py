"""Draws a prediction of `lvt-core.jar run`: `python draw_prediction.py MODEL PREDICTIONS OUT`.

MODEL is the artifact; names and colours come from its manifest. PREDICTIONS contains the printed
lines. The first prediction is drawn and written to the picture OUT.
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


def main(model: Path, predictions: Path, out: Path) -> None:
    """Writes the overlay of the first prediction."""
    prediction = json.loads(predictions.read_text().splitlines()[0])
    artifact = open_artifact(model)
    assert artifact.labels is not None
    colours = np.asarray(Image.open(prediction["map"]), np.int32)
    ids = colours @ np.array([1, 256, 65536], np.int32)  # the COCO panoptic format
    segment_ids = {segment["id"] for segment in prediction["segments"]}
    ids = np.where(np.isin(ids, list(segment_ids)), ids, _VOID)
    things = [segment for segment in prediction["segments"] if segment["score"] is not None]
    detections = {segment["id"]: index for index, segment in enumerate(things)}
    segments = tuple(
        Segment(s["id"], s["label"], s["area"], detections.get(s["id"]))
        for s in prediction["segments"]
    )
    scores = np.array([segment["score"] for segment in things], np.float32)
    image = read_image(Path(prediction["image"]))
    panoptic = PanopticMap(ids.astype(np.int32), segments, _VOID)
    save_picture(panoptic_overlay(image, panoptic, scores, artifact.labels), out)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
