"""What a model predicts for one picture: classes, a label map, or panoptic segments.

Every prediction can be drawn over its picture and written as plain data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.predict.picture import Picture, load_picture
from export.session import Outputs
from lvt.config import Size
from lvt.data.labels import Labels
from lvt.data.preprocessing import Preprocessing
from lvt.models import ModelSpec
from lvt.panoptic.fusion import PanopticMap
from lvt.panoptic.postprocess import panoptic_map
from lvt.postprocessing import ClassScore, label_map, ranked_classes
from lvt.visualisation import class_overlay, panoptic_overlay, semantic_overlay

SHOWN_CLASSES = 5
"""Number of classes that a drawing or a summary lists."""


@dataclass(frozen=True, eq=False)
class ClassPrediction:
    """All classes of the picture, most probable first."""

    classes: list[ClassScore]
    labels: Labels

    def best(self, count: int = SHOWN_CLASSES) -> list[tuple[str, float]]:
        """Names and probabilities of the most probable classes."""
        return [(self.labels.names[s.index], s.probability) for s in self.classes[:count]]

    def overlay(self, picture: Picture) -> Image.Image:
        """The picture with a list of its most probable classes."""
        return class_overlay(load_picture(picture), self.classes[:SHOWN_CLASSES], self.labels)

    def to_dict(self, count: int = SHOWN_CLASSES) -> dict[str, Any]:
        """The most probable classes, as plain data."""
        entries = [
            {"index": s.index, "name": self.labels.names[s.index], "probability": s.probability}
            for s in self.classes[:count]
        ]
        return {"classes": entries}


@dataclass(frozen=True, eq=False)
class SemanticPrediction:
    """A class for every pixel.

    Attributes:
        label_map: class indices (H, W) at the picture's size.
        labels: names and colours of the classes.
    """

    label_map: NDArray[np.int64]
    labels: Labels

    @property
    def shares(self) -> dict[str, float]:
        """Share of the picture for each class that occurs."""
        counts = np.bincount(self.label_map.ravel(), minlength=len(self.labels.names))
        total = self.label_map.size
        return {self.labels.names[i]: float(counts[i] / total) for i in np.flatnonzero(counts)}

    def overlay(self, picture: Picture) -> Image.Image:
        """The picture tinted by class, with a legend."""
        return semantic_overlay(load_picture(picture), self.label_map, self.labels)

    def to_dict(self) -> dict[str, Any]:
        """Shares of the classes, as plain data."""
        return {"shares": self.shares}


@dataclass(frozen=True, eq=False)
class PanopticPrediction:
    """A segment for every pixel.

    Attributes:
        panoptic: the segments, at the picture's size.
        scores: (K,) of the detections that segments refer to.
        labels: names and colours of the classes, things first.
    """

    panoptic: PanopticMap
    scores: NDArray[np.floating]
    labels: Labels

    def overlay(self, picture: Picture) -> Image.Image:
        """The picture with tinted segments, names, scores and a legend."""
        return panoptic_overlay(load_picture(picture), self.panoptic, self.scores, self.labels)

    def to_dict(self) -> dict[str, Any]:
        """The segments, as plain data."""
        entries = []
        for segment in self.panoptic.segments:
            score = None if segment.detection is None else float(self.scores[segment.detection])
            name = self.labels.names[segment.label]
            entries.append({"id": segment.id, "name": name, "score": score, "area": segment.area})
        return {"segments": entries}


Prediction = ClassPrediction | SemanticPrediction | PanopticPrediction


def decode_outputs(
    spec: ModelSpec,
    labels: Labels,
    preprocessing: Preprocessing,
    outputs: Outputs,
    input_size: Size,
    picture_size: Size,
) -> Prediction:
    """The prediction that raw outputs encode.

    Args:
        spec: describes the model.
        labels: names and colours of its classes.
        preprocessing: made the model's input from the picture.
        outputs: of a session.
        input_size: height and width of the model's input.
        picture_size: height and width of the picture.

    Raises:
        ValueError: a bare backbone predicts nothing.
    """
    if spec.task == "classification":
        return ClassPrediction(ranked_classes(outputs["logits"]), labels)
    content = preprocessing.content_size(picture_size)
    if spec.panoptic is not None:
        panoptic = panoptic_map(outputs, spec.panoptic, input_size, content, picture_size)
        return PanopticPrediction(panoptic, outputs["scores"][outputs["scores"] > 0], labels)
    if spec.task == "semantic":
        map_of_labels = label_map(outputs["logits"], input_size, picture_size, content)
        return SemanticPrediction(map_of_labels, labels)
    raise ValueError("a bare backbone predicts nothing")
