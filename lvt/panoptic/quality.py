"""Panoptic quality (PQ): how well panoptic maps agree with the truth, by COCO's definition.

A predicted and a true segment of one class match if their intersection over union is above one
half; at most one can. PQ = SQ * RQ: the mean overlap of matches, and their F1 score. Knows nothing
of models: predictions are maps of ids.
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
"""A match overlaps by more than this, so that no segment can have two."""
VOID_SHARE = 0.5
"""A prediction with more than this share on void or crowd is no false positive."""


@dataclass(frozen=True)
class TrueSegment:
    """A segment of the truth.

    Attributes:
        id: its value in the map, above 0.
        label: its class.
        crowd: a group that is not told apart; it is neither matched nor missed.
    """

    id: int
    label: int
    crowd: bool = False


@dataclass(frozen=True)
class PanopticTruth:
    """The truth about one image.

    Attributes:
        ids: integers (H, W); 0 is void. A value that is the id of no segment is, as for
            panopticapi, neither void nor anything that can be found.
        segments: of the map.
    """

    ids: NDArray[np.integer]
    segments: tuple[TrueSegment, ...]


@dataclass(frozen=True)
class Quality:
    """PQ, SQ and RQ of a class, or their means over `classes` classes; 0..1.

    Attributes:
        pq: panoptic quality.
        sq: segmentation quality, the mean IoU of matches.
        rq: recognition quality, the F1 score.
        classes: how many classes occur in truth or prediction and are averaged; without any, the
            figures are NaN, as nothing was measured.
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
    """Means over all classes, things and stuff; each class by its label; things by their area.

    A match has the area of its true segment.
    """

    all: Quality
    things: Quality
    stuff: Quality
    per_class: Mapping[int, Quality]
    things_by_size: Mapping[SizeBand, Quality]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for reports; only classes that occur are listed."""
        return {
            "all": self.all.to_dict(),
            "things": self.things.to_dict(),
            "stuff": self.stuff.to_dict(),
            "per_class": {label: quality.to_dict() for label, quality in self.per_class.items()},
            "things_by_size": {band: q.to_dict() for band, q in self.things_by_size.items()},
        }


class _Counts:
    """Of each class."""

    def __init__(self, classes: int):
        self.iou = np.zeros(classes)
        self.matched = np.zeros(classes, np.int64)
        self.spurious = np.zeros(classes, np.int64)
        self.missed = np.zeros(classes, np.int64)

    def __add__(self, other: _Counts) -> _Counts:
        total = _Counts(len(self.iou))
        for name, values in vars(self).items():
            setattr(total, name, values + getattr(other, name))
        return total

    def per_class(self) -> dict[int, Quality]:
        """Those that occur."""
        found = {}
        for label in range(len(self.iou)):
            matched = int(self.matched[label])
            total = matched + 0.5 * int(self.spurious[label]) + 0.5 * int(self.missed[label])
            if total:
                iou = float(self.iou[label])
                sq = iou / matched if matched else 0.0
                found[label] = Quality(iou / total, sq, matched / total, 1)
        return found


class PanopticQuality:
    """Counts over images, then the report.

    Args:
        things: number of thing classes, labels 0 ... things-1.
        stuff: number of stuff classes, the labels after them.
    """

    def __init__(self, things: int, stuff: int):
        self._things = things
        self._counts = {band: _Counts(things + stuff) for band in SIZE_BANDS}

    def add(self, predicted: PanopticMap, truth: PanopticTruth) -> None:
        """Counts one image.

        Raises:
            ValueError: the maps have different sizes.
        """
        if predicted.ids.shape != truth.ids.shape:
            raise ValueError(
                f"prediction {predicted.ids.shape} and truth {truth.ids.shape} differ in size"
            )
        table = _Overlaps(predicted, truth)
        matched_true, matched_predicted = set(), set()
        for row, true in enumerate(truth.segments):
            if true.crowd:
                continue
            for column, segment in enumerate(predicted.segments):
                iou = table.iou(row, column) if segment.label == true.label else 0.0
                if iou > MATCH_IOU:
                    counts = self._counts[size_band(table.true_area(row))]
                    counts.matched[true.label] += 1
                    counts.iou[true.label] += iou
                    matched_true.add(row)
                    matched_predicted.add(column)
        for row, true in enumerate(truth.segments):
            if row not in matched_true and not true.crowd:
                self._counts[size_band(table.true_area(row))].missed[true.label] += 1
        for column, segment in enumerate(predicted.segments):
            if column not in matched_predicted:
                crowds = (
                    row
                    for row, true in enumerate(truth.segments)
                    if true.crowd and true.label == segment.label
                )
                if table.ignored_share(column, crowds) <= VOID_SHARE:
                    self._counts[size_band(table.area(column))].spurious[segment.label] += 1

    def report(self) -> QualityReport:
        """The figures over all images so far."""
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
    """Pixels that each true and each predicted segment share.

    Row and column 0 are void; the last row has what is no segment of the truth, and not void.
    """

    def __init__(self, predicted: PanopticMap, truth: PanopticTruth):
        true = _dense(truth.ids, [segment.id for segment in truth.segments])
        true[(true == 0) & (truth.ids != 0)] = len(truth.segments) + 1
        found = _dense(predicted.ids, [segment.id for segment in predicted.segments])
        columns = len(predicted.segments) + 1
        size = (len(truth.segments) + 2, columns)
        counts = np.bincount((true * columns + found).ravel(), minlength=size[0] * size[1])
        self._shared = counts.reshape(size)
        self._true_area = self._shared.sum(axis=1)
        self._area = self._shared.sum(axis=0)

    def true_area(self, row: int) -> int:
        """Pixels of a true segment."""
        return int(self._true_area[row + 1])

    def area(self, column: int) -> int:
        """Pixels of a predicted segment."""
        return int(self._area[column + 1])

    def iou(self, row: int, column: int) -> float:
        """Of a true and a predicted segment; true void counts for neither."""
        shared = self._shared[row + 1, column + 1]
        void = self._shared[0, column + 1]
        union = self._true_area[row + 1] + self._area[column + 1] - shared - void
        return float(shared / union) if shared else 0.0

    def ignored_share(self, column: int, crowds: Iterable[int]) -> float:
        """The share of a predicted segment on true void or on one of the crowds."""
        ignored = self._shared[0, column + 1] + sum(
            self._shared[row + 1, column + 1] for row in crowds
        )
        return float(ignored / self._area[column + 1]) if self._area[column + 1] else 1.0


def _dense(ids: NDArray[np.integer], known: list[int]) -> NDArray[np.int64]:
    """Ids as 1 + their index in `known`, others as 0."""
    values, inverse = np.unique(ids, return_inverse=True)
    index = {value: position for position, value in enumerate(known, start=1)}
    lookup = np.array([index.get(int(value), 0) for value in values], np.int64)
    return lookup[inverse].reshape(ids.shape)


def _mean(qualities: Iterable[Quality]) -> Quality:
    rows = [(quality.pq, quality.sq, quality.rq) for quality in qualities]
    pq, sq, rq = np.mean(rows, axis=0) if rows else (np.nan,) * 3
    return Quality(float(pq), float(sq), float(rq), len(rows))
