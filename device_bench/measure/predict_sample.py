"""Asks an artifact about a picture and draws what it says, small enough for a result file."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from device_bench.results.sample_prediction import SamplePrediction
from export.artifact.reader import Artifact
from export.predict.prediction import ClassPrediction
from export.session import Session

_LONGEST_SIDE = 640
"""Of the sample picture, as in COCO. It is shrunk before it is asked about, not afterwards: names
and legend stay readable."""
_QUALITY = 80
_CLASSES = 5


def answer_to(
    artifact: Artifact, session: Session, picture: NDArray[np.uint8]
) -> SamplePrediction | None:
    """One inference and its answer; None for a bare backbone, which says nothing of a picture.

    Args:
        artifact: whose manifest says how to ask and what the answer means.
        session: runs it.
        picture: (H, W, 3) uint8 RGB.
    """
    if artifact.labels is None:
        return None
    shrunk = Image.fromarray(picture)
    shrunk.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    pixels = np.asarray(shrunk)
    outputs = session.run(artifact.preprocessing(pixels))
    prediction = artifact.decode(outputs, (pixels.shape[0], pixels.shape[1]))
    assert prediction is not None
    if isinstance(prediction, ClassPrediction):
        best = [(name, 100 * probability) for name, probability in prediction.best(_CLASSES)]
        return SamplePrediction(_jpeg(shrunk), overlay=None, classes=tuple(best))
    return SamplePrediction(_jpeg(shrunk), _jpeg(prediction.overlay(pixels)))


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return file.getvalue()
