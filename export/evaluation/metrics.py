"""Metrics of each task, gathered picture by picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from export.evaluation.result import Evaluation
from export.predict.prediction import ClassPrediction, PanopticPrediction, SemanticPrediction
from export.predict.predictor import Predictor
from lvt.config import Task
from lvt.data.datasets.samples import ClassSample, MaskSample, PanopticSample
from lvt.data.metrics import SIZE_BANDS, class_iou, confusion_matrix, mean_iou, regions_found
from lvt.errors import UserError
from lvt.panoptic.quality import PanopticQuality

_CLASSES_FOR_SUSPICION = 4
"""Classes that must match under a shifted mapping before it is called likely.

A model that predicts one class everywhere matches under some shift by chance.
"""

_CHANCE = 0.1
"""Share of pixels that a wrong mapping of classes may match."""


class Metric(Protocol):
    """Compares predictions with labels, one picture after the other."""

    def add(self, prediction: Any, sample: Any) -> None:
        """Counts one picture."""
        ...

    def result(self, images: int) -> Evaluation:
        """The figures of all pictures."""
        ...


class TopKMetric:
    """Top-1 and top-5 accuracy."""

    def __init__(self, predictor: Predictor):
        self._hits = {1: 0, 5: 0}

    def add(self, prediction: ClassPrediction, sample: ClassSample) -> None:
        for depth in self._hits:
            best = [score.index for score in prediction.classes[:depth]]
            self._hits[depth] += sample.label in best

    def result(self, images: int) -> Evaluation:
        figures = {f"top-{depth}": 100 * hits / images for depth, hits in self._hits.items()}
        return Evaluation(images, figures, {}, {}, {})


class MeanIoUMetric:
    """Mean IoU, pixel accuracy, and the share of regions found by size."""

    def __init__(self, predictor: Predictor):
        self._names = predictor.labels.names
        self._matrix = np.zeros((len(self._names),) * 2, np.int64)
        self._regions = {band: np.zeros(2, np.int64) for band in SIZE_BANDS}
        # Matching and valid pixels, and the matching classes, if mask values were off by one.
        self._shifted = {shift: np.zeros(2, np.int64) for shift in (-1, 1)}
        self._shifted_classes: dict[int, set[int]] = {-1: set(), 1: set()}

    def add(self, prediction: SemanticPrediction, sample: MaskSample) -> None:
        label_map, truth = prediction.label_map, sample.labels
        self._matrix += confusion_matrix(label_map, truth, len(self._names))
        for band, counts in regions_found(label_map, truth, len(self._names)).items():
            self._regions[band] += counts
        for shift, totals in self._shifted.items():
            moved = truth + shift
            valid = (truth >= 0) & (moved >= 0) & (moved < len(self._names))
            matches = (moved == label_map) & valid
            totals += (int(matches.sum()), int(valid.sum()))
            self._shifted_classes[shift] |= set(np.unique(moved[matches]).tolist())

    def result(self, images: int) -> Evaluation:
        iou = class_iou(self._matrix)
        if not self._matrix.sum():
            raise UserError("nothing to measure: every pixel of the masks is void")
        accuracy = float(np.diag(self._matrix).sum() / self._matrix.sum())
        figures = {"mIoU": 100 * mean_iou(self._matrix), "pixel accuracy": 100 * accuracy}
        per_class = {
            name: 100 * float(value)
            for name, value in zip(self._names, iou, strict=True)
            if not np.isnan(value)
        }
        per_size = {
            f"{band} regions found": 100 * float(found / total)
            for band, (found, total) in self._regions.items()
            if total
        }
        details = {"confusion": self._matrix.tolist()}
        notes = self._shift_suspicion(accuracy)
        return Evaluation(images, figures, per_class, per_size, details, notes)

    def _shift_suspicion(self, accuracy: float) -> tuple[str, ...]:
        """A note if masks would match much better with every value meaning a neighbouring class."""
        for shift, (matches, total) in self._shifted.items():
            shifted_accuracy = matches / total if total else 0.0
            enough_classes = len(self._shifted_classes[shift]) >= _CLASSES_FOR_SUSPICION
            if enough_classes and shifted_accuracy > 2 * accuracy + _CHANCE:
                direction = "lower" if shift < 0 else "higher"
                return (
                    "the masks look shifted by one: with each value meaning the class one "
                    f"{direction}, {shifted_accuracy:.1%} of the pixels would be right instead of "
                    f"{accuracy:.1%}; masks whose 0 is void belong in annotations/, others in "
                    "masks/",
                )
        return ()


class PanopticQualityMetric:
    """Panoptic quality of all classes, things and stuff."""

    def __init__(self, predictor: Predictor):
        config = predictor.spec.panoptic
        assert config is not None
        self._names = predictor.labels.names
        self._quality = PanopticQuality(config.things, config.stuff)
        self._segments = 0

    def add(self, prediction: PanopticPrediction, sample: PanopticSample) -> None:
        self._quality.add(prediction.panoptic, sample.truth)
        self._segments += sum(not segment.crowd for segment in sample.truth.segments)

    def result(self, images: int) -> Evaluation:
        if not self._segments:
            raise UserError("nothing to measure: the pictures have no segments that count")
        report = self._quality.report()
        figures = {
            "PQ": 100 * report.all.pq,
            "SQ": 100 * report.all.sq,
            "RQ": 100 * report.all.rq,
            "PQ things": 100 * report.things.pq,
            "PQ stuff": 100 * report.stuff.pq,
        }
        per_class = {self._names[label]: 100 * q.pq for label, q in report.per_class.items()}
        per_size = {
            f"PQ {band} things": 100 * quality.pq
            for band, quality in report.things_by_size.items()
            if quality.classes
        }
        return Evaluation(images, figures, per_class, per_size, report.to_dict())


_METRICS: dict[Task, Callable[[Predictor], Metric]] = {
    "classification": TopKMetric,
    "semantic": MeanIoUMetric,
    "panoptic": PanopticQualityMetric,
}


def metric_for(predictor: Predictor) -> Metric:
    """An empty metric of the predictor's task."""
    return _METRICS[predictor.spec.task](predictor)
