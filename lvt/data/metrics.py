"""Numerical and task measures shared by parity, quantization and evaluation."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.floating] | NDArray[np.integer]


SizeBand = Literal["small", "medium", "large"]
SIZE_BANDS: tuple[SizeBand, ...] = ("small", "medium", "large")

_SMALL, _MEDIUM = 32**2, 96**2
"""COCO's bounds of areas, in pixels of the picture."""

_LEAST_REGION = 8**2
"""Smaller regions of a semantic truth are mostly the ragged borders of larger ones."""


def size_band(area: int) -> SizeBand:
    """The band of an area in pixels: small below 32 x 32, medium below 96 x 96, or large."""
    return "small" if area < _SMALL else "medium" if area < _MEDIUM else "large"


def max_abs_error(actual: Array, expected: Array) -> float:
    """Largest absolute difference; infinite where `actual` is not finite."""
    difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    return float(difference.max()) if np.isfinite(difference).all() else math.inf


def power(values: Array) -> float:
    """Sum of squares, in float64."""
    return float(np.square(values.astype(np.float64)).sum())


def decibels(signal: float, noise: float) -> float:
    """Ratio of two powers in dB; infinite without noise, minus infinite without (finite) signal."""
    if noise == 0:
        return math.inf
    if signal == 0 or not math.isfinite(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)


class SignalToNoise:
    """Signal to quantization-noise ratio, gathered array by array."""

    def __init__(self) -> None:
        self._signal = self._noise = 0.0

    def add(self, actual: Array, expected: Array) -> None:
        """Takes one pair of arrays of the same shape in."""
        self._signal += power(expected)
        self._noise += power(actual.astype(np.float64) - expected)

    @property
    def db(self) -> float:
        """In dB; infinite where all pairs are identical."""
        return decibels(self._signal, self._noise)


class ChannelNoise:
    """Signal to noise of values in channels, of which each counts the same; array by array.

    The signal is what differs from a channel's mean, so that a constant cannot carry it, and a
    channel that is lost counts as one, however large the others are.
    """

    def __init__(self) -> None:
        self._totals: NDArray[np.float64] | None = None
        self._count = 0

    def add(self, actual: Array, expected: Array) -> None:
        """Takes one pair of arrays in: (B, C, ...), or (C,) of one image."""
        channels = 1 if expected.ndim > 1 else 0
        wanted = np.moveaxis(expected.astype(np.float64), channels, 0)
        wanted = wanted.reshape(wanted.shape[0], -1)
        found = np.moveaxis(actual.astype(np.float64), channels, 0).reshape(wanted.shape)
        noise = np.square(found - wanted)
        totals = np.stack([wanted.sum(1), np.square(wanted).sum(1), noise.sum(1)])
        self._totals = totals if self._totals is None else self._totals + totals
        self._count += wanted.shape[1]

    @property
    def db(self) -> float:
        """In dB; infinite where all pairs are identical."""
        if self._totals is None:
            return math.inf
        sums, squares, noise = self._totals
        if not np.isfinite(noise).all():
            return -math.inf
        if self._count == 1:  # one value has no spread: as it is
            return decibels(float(squares.sum()), float(noise.sum()))
        signal = np.maximum(squares - np.square(sums) / self._count, 0)
        lost = np.where(noise > signal, 1.0, noise / np.where(signal > 0, signal, 1.0))
        return decibels(1.0, float(np.where(noise == 0, 0.0, lost).mean()))


def sqnr_db(actual: Array, expected: Array) -> float:
    """Signal to quantization-noise ratio in dB; infinite for identical arrays."""
    ratio = SignalToNoise()
    ratio.add(actual, expected)
    return ratio.db


def confusion_matrix(
    predicted: NDArray[np.integer], truth: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Counts [truth, predicted]; pixels whose truth is not in 0..classes-1 are ignored."""
    known = (truth >= 0) & (truth < classes)
    index = truth[known].astype(np.int64) * classes + predicted[known]
    return np.bincount(index, minlength=classes**2).reshape(classes, classes)


def class_iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of each class, 0..1; NaN where neither side has it."""
    intersection = np.diag(confusion).astype(np.float64)
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    return np.divide(intersection, union, out=np.full(len(union), np.nan), where=union > 0)


def mean_iou(confusion: NDArray[np.int64]) -> float:
    """Mean over the classes that occur of intersection over union, 0..1; NaN if none occurs."""
    iou = class_iou(confusion)
    return float(np.nanmean(iou)) if not np.isnan(iou).all() else math.nan


def regions_found(
    predicted: NDArray[np.integer], truth: NDArray[np.integer], classes: int
) -> dict[SizeBand, tuple[int, int]]:
    """By size, how many regions of a semantic truth are found, and how many there are.

    A region is what one class covers without a gap. It is found if more than half of its pixels
    get its class.

    Args:
        predicted: labels (H, W).
        truth: labels (H, W); values outside of 0..classes-1 are no class.
        classes: how many there are.
    """
    counts = dict.fromkeys(SIZE_BANDS, (0, 0))
    for label in range(classes):
        regions, count = ndimage.label(truth == label)
        if not count:
            continue
        areas = np.bincount(regions.ravel(), minlength=count + 1)[1:]
        right = np.bincount(regions[predicted == label], minlength=count + 1)[1:]
        for area, hits in zip(areas.tolist(), right.tolist(), strict=True):
            if area >= _LEAST_REGION:
                found, total = counts[size_band(area)]
                counts[size_band(area)] = found + (2 * hits > area), total + 1
    return counts
