"""Predictions for a sample picture, drawn and small enough for a result file."""

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
"""Of the sample picture, as in COCO. It is resized before the inference, so that the names and
the legend drawn afterwards stay readable."""
_JPEG_QUALITY = 80


def predict_sample(
    artifact: Artifact, session: Session, picture: NDArray[np.uint8]
) -> SamplePrediction | None:
    """Run one inference and draw its prediction; None for a bare backbone.

    Args:
        artifact: describes pre- and post-processing.
        session: runs the artifact.
        picture: (H, W, 3) uint8 RGB.
    """
    if artifact.labels is None:
        return None
    resized = Image.fromarray(picture)
    resized.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    pixels = np.asarray(resized)
    outputs = session.run(artifact.preprocessing(pixels))
    prediction = artifact.decode(outputs, (pixels.shape[0], pixels.shape[1]))
    assert prediction is not None
    if isinstance(prediction, ClassPrediction):
        classes = tuple((name, 100 * probability) for name, probability in prediction.best())
        return SamplePrediction(_jpeg(resized), overlay=None, classes=classes)
    return SamplePrediction(_jpeg(resized), _jpeg(prediction.overlay(pixels)))


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return file.getvalue()
