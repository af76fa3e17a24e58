"""Panoptic quality (PQ): agreement of panoptic maps with the ground truth, as COCO defines it.

A predicted and a true segment of one class match if their intersection over union is above one
half, so that each segment has at most one match. PQ is the product of SQ, the mean IoU of matches,
and RQ, the F1 score of segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lvt.data.metrics import SIZE_BANDS, SizeBand, size_band
from lvt.panoptic.fusion import PanopticMap

MATCH_IOU = 0.5
"""The IoU of a match is above this, so that no segment has two matches."""
VOID_SHARE = 0.5
"""A prediction with more than this share on void or crowds is no false positive."""


@dataclass(frozen=True)
class TrueSegment:
    """A segment of the ground truth.

    Attributes:
        id: value in the map, above 0.
        label: index of the class.
        crowd: a group of instances without a segment for each; it can be neither matched nor
            missed.
    """

    id: int
    label: int
    crowd: bool = False


@dataclass(frozen=True)
class PanopticTruth:
    """The ground truth of one image.

    Attributes:
        ids: integers (H, W), segment id of each pixel; 0 is void. Other values that are no
            segment's id are, as in panopticapi, neither void nor a segment.
        segments: the segments of the map.
    """

    ids: NDArray[np.integer]
    segments: tuple[TrueSegment, ...]


@dataclass(frozen=True)
class Quality:
    """PQ, SQ and RQ of a class, or their means over several classes; 0..1.

    Attributes:
        pq: panoptic quality.
        sq: segmentation quality, the mean IoU of matches.
        rq: recognition quality, the F1 score.
        classes: number of classes in the mean: those that occur in the ground truth or in the
            predictions. If there are none, the other figures are NaN.
    """

    pq: float
    sq: float
    rq: float
    classes: int

    def to_dict(self) -> dict[str, float | int]:
        """Plain data for reports."""
        return {"pq": self.pq, "sq": self.sq, "rq": self.rq, "classes": self.classes}


@dataclass(frozen=True)
class QualityReport:
    """Panoptic quality over a data set.

    Attributes:
        all: mean over all classes.
        things: mean over thing classes.
        stuff: mean over stuff classes.
        per_class: quality of each class that occurs, by label.
        things_by_size: mean over thing classes for each size band. A match belongs to the band of
            its true segment.
    """

    all: Quality
    things: Quality
    stuff: Quality
    per_class: Mapping[int, Quality]
    things_by_size: Mapping[SizeBand, Quality]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for reports."""
        return {
            "all": self.all.to_dict(),
            "things": self.things.to_dict(),
            "stuff": self.stuff.to_dict(),
            "per_class": {label: quality.to_dict() for label, quality in self.per_class.items()},
            "things_by_size": {band: q.to_dict() for band, q in self.things_by_size.items()},
        }


class _Counts:
    """Matches, false positives and false negatives of each class."""

    def __init__(self, classes: int):
        self.iou = np.zeros(classes)
        self.matched = np.zeros(classes, np.int64)
        self.false_positive = np.zeros(classes, np.int64)
        self.false_negative = np.zeros(classes, np.int64)

    def __add__(self, other: _Counts) -> _Counts:
        total = _Counts(len(self.iou))
        for name, values in vars(self).items():
            setattr(total, name, values + getattr(other, name))
        return total

    def per_class(self) -> dict[int, Quality]:
        """The quality of each class that occurs."""
        qualities = {}
        for label in range(len(self.iou)):
            matched = int(self.matched[label])
            unmatched = int(self.false_positive[label]) + int(self.false_negative[label])
            total = matched + 0.5 * unmatched
            if total:
                iou = float(self.iou[label])
                sq = iou / matched if matched else 0.0
                qualities[label] = Quality(iou / total, sq, matched / total, 1)
        return qualities


class PanopticQuality:
    """Collects matches over images and computes panoptic quality.

    Args:
        things: number of thing classes; their labels are 0 to things-1.
        stuff: number of stuff classes; their labels follow.
    """

    def __init__(self, things: int, stuff: int):
        self._things = things
        self._counts = {band: _Counts(things + stuff) for band in SIZE_BANDS}

    def add(self, predicted: PanopticMap, truth: PanopticTruth) -> None:
        """Adds one image.

        Raises:
            ValueError: the maps have different sizes.
        """
        if predicted.ids.shape != truth.ids.shape:
            raise ValueError(
                f"prediction {predicted.ids.shape} and truth {truth.ids.shape} differ in size"
            )
        overlaps = _Overlaps(predicted, truth)
        matched_true, matched_predicted = set(), set()
        for row, true in enumerate(truth.segments):
            if true.crowd:
                continue
            for column, segment in enumerate(predicted.segments):
                iou = overlaps.iou(row, column) if segment.label == true.label else 0.0
                if iou > MATCH_IOU:
                    counts = self._counts[size_band(overlaps.true_area(row))]
                    counts.matched[true.label] += 1
                    counts.iou[true.label] += iou
                    matched_true.add(row)
                    matched_predicted.add(column)
        for row, true in enumerate(truth.segments):
            if row not in matched_true and not true.crowd:
                self._counts[size_band(overlaps.true_area(row))].false_negative[true.label] += 1
        for column, segment in enumerate(predicted.segments):
            if column not in matched_predicted:
                crowds = (
                    row
                    for row, true in enumerate(truth.segments)
                    if true.crowd and true.label == segment.label
                )
                if overlaps.ignored_share(column, crowds) <= VOID_SHARE:
                    counts = self._counts[size_band(overlaps.area(column))]
                    counts.false_positive[segment.label] += 1

    def report(self) -> QualityReport:
        """Panoptic quality over all images so far."""
        small, medium, large = self._counts.values()
        per_class = (small + medium + large).per_class()
        return QualityReport(
            all=_mean(per_class.values()),
            things=self._mean_of_things(per_class),
            stuff=_mean(q for label, q in per_class.items() if label >= self._things),
            per_class=per_class,
            things_by_size={
                band: self._mean_of_things(counts.per_class())
                for band, counts in self._counts.items()
            },
        )

    def _mean_of_things(self, per_class: Mapping[int, Quality]) -> Quality:
        return _mean(quality for label, quality in per_class.items() if label < self._things)


class _Overlaps:
    """Number of pixels that each true segment shares with each predicted segment.

    Row 0 is true void and column 0 predicted void. The last row has the pixels whose true id is
    neither void nor a segment.
    """

    def __init__(self, predicted: PanopticMap, truth: PanopticTruth):
        true_index = _dense(truth.ids, [segment.id for segment in truth.segments])
        true_index[(true_index == 0) & (truth.ids != 0)] = len(truth.segments) + 1
        predicted_index = _dense(predicted.ids, [segment.id for segment in predicted.segments])
        columns = len(predicted.segments) + 1
        size = (len(truth.segments) + 2, columns)
        pairs = (true_index * columns + predicted_index).ravel()
        counts = np.bincount(pairs, minlength=size[0] * size[1])
        self._shared = counts.reshape(size)
        self._true_area = self._shared.sum(axis=1)
        self._area = self._shared.sum(axis=0)

    def true_area(self, row: int) -> int:
        """Number of pixels of a true segment."""
        return int(self._true_area[row + 1])

    def area(self, column: int) -> int:
        """Number of pixels of a predicted segment."""
        return int(self._area[column + 1])

    def iou(self, row: int, column: int) -> float:
        """Intersection over union of a true and a predicted segment, without true void."""
        shared = self._shared[row + 1, column + 1]
        void = self._shared[0, column + 1]
        union = self._true_area[row + 1] + self._area[column + 1] - shared - void
        return float(shared / union) if shared else 0.0

    def ignored_share(self, column: int, crowds: Iterable[int]) -> float:
        """Share of a predicted segment on true void or on one of the crowds."""
        ignored = self._shared[0, column + 1] + sum(
            self._shared[row + 1, column + 1] for row in crowds
        )
        return float(ignored / self._area[column + 1]) if self._area[column + 1] else 1.0


def _dense(ids: NDArray[np.integer], known: list[int]) -> NDArray[np.int64]:
    """Replaces each id by 1 + its index in `known`, and unknown ids by 0."""
    values, inverse = np.unique(ids, return_inverse=True)
    index = {value: position for position, value in enumerate(known, start=1)}
    lookup = np.array([index.get(int(value), 0) for value in values], np.int64)
    return lookup[inverse].reshape(ids.shape)


def _mean(qualities: Iterable[Quality]) -> Quality:
    rows = [(quality.pq, quality.sq, quality.rq) for quality in qualities]
    pq, sq, rq = np.mean(rows, axis=0) if rows else (np.nan,) * 3
    return Quality(float(pq), float(sq), float(rq), len(rows))
