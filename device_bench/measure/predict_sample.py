"""Predictions for a sample picture, drawn and small enough for a result file."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from device_bench.results.sample_prediction import SamplePrediction
from export.artifact.reader import Artifact
from export.session import Outputs, Session
from lvt.panoptic.fusion import PanopticMap
from lvt.visualisation import panoptic_overlay, semantic_overlay

_LONGEST_SIDE = 640
"""Of the sample picture, as in COCO. It is resized before the inference, so that the names and
the legend drawn afterwards stay readable."""
_JPEG_QUALITY = 80
_TOP_CLASSES = 5


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
    prediction = decode_prediction(artifact, outputs, pixels)
    if isinstance(prediction, Image.Image):
        return SamplePrediction(_jpeg(resized), _jpeg(prediction))
    classes = tuple((name, 100 * probability) for name, probability in prediction)
    return SamplePrediction(_jpeg(resized), overlay=None, classes=classes)


def decode_prediction(
    artifact: Artifact, outputs: Outputs, pixels: NDArray[np.uint8]
) -> Image.Image | list[tuple[str, float]]:
    """Decode the outputs for a picture to a form that a person can check.

    Args:
        artifact: the model, which has labels.
        outputs: of the model for the picture.
        pixels: (H, W, 3) uint8 RGB.

    Returns:
        The prediction drawn over the picture; for a classifier, the names and probabilities of the
        top classes.
    """
    prediction = artifact.answer(outputs, (pixels.shape[0], pixels.shape[1]))
    labels = artifact.labels
    assert prediction is not None
    assert labels is not None
    if isinstance(prediction, list):
        top = prediction[:_TOP_CLASSES]
        return [(labels.names[score.index], score.probability) for score in top]
    if isinstance(prediction, PanopticMap):
        scores = outputs["scores"][outputs["scores"] > 0]
        return panoptic_overlay(pixels, prediction, scores, labels)
    return semantic_overlay(pixels, prediction, labels)


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return file.getvalue()
