"""Asks an artifact about a picture and draws what it says, small enough for a result file."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from device_bench.results.sample_prediction import SamplePrediction
from export.artifact.reader import Artifact
from export.session import Session
from lvt.panoptic.fusion import PanopticMap
from lvt.visualisation import panoptic_overlay, semantic_overlay

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
    pixels, labels = np.asarray(shrunk), artifact.labels
    outputs = session.run(artifact.preprocessing(pixels))
    answer = artifact.answer(outputs, (pixels.shape[0], pixels.shape[1]))
    assert answer is not None
    if isinstance(answer, list):
        best = ((labels.names[score.index], 100 * score.probability) for score in answer[:_CLASSES])
        return SamplePrediction(_jpeg(shrunk), overlay=None, classes=tuple(best))
    if isinstance(answer, PanopticMap):
        scores = outputs["scores"][outputs["scores"] > 0]
        overlay = panoptic_overlay(pixels, answer, scores, labels)
    else:
        overlay = semantic_overlay(pixels, answer, labels)
    return SamplePrediction(_jpeg(shrunk), _jpeg(overlay))


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return file.getvalue()
