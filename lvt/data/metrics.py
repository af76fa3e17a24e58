"""Numerical and task metrics that parity, quantization and evaluation share."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.floating] | NDArray[np.integer]

SizeBand = Literal["small", "medium", "large"]
SIZE_BANDS: tuple[SizeBand, ...] = ("small", "medium", "large")

_MEDIUM_AREA, _LARGE_AREA = 32**2, 96**2
"""Smallest areas of COCO's size bands, in pixels of the picture."""

_MIN_REGION_AREA = 8**2
"""Smaller regions of a semantic mask are mostly ragged borders of larger regions."""


def size_band(area: int) -> SizeBand:
    """The size band of an area in pixels: small below 32 x 32, medium below 96 x 96, else large."""
    return "small" if area < _MEDIUM_AREA else "medium" if area < _LARGE_AREA else "large"


def max_abs_error(actual: Array, expected: Array) -> float:
    """Largest absolute difference; infinite if a value is not finite."""
    difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    return float(difference.max()) if np.isfinite(difference).all() else math.inf


def power(values: Array) -> float:
    """Sum of the squares, computed in float64."""
    return float(np.square(values.astype(np.float64)).sum())


def decibels(signal: float, noise: float) -> float:
    """Ratio of two powers in dB; infinite for no noise, minus infinite for no signal."""
    if noise == 0:
        return math.inf
    if signal == 0 or not math.isfinite(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)


class SignalToNoise:
    """Signal to quantization-noise ratio over several pairs of arrays."""

    def __init__(self) -> None:
        self._signal = self._noise = 0.0

    def add(self, actual: Array, expected: Array) -> None:
        """Adds a pair of arrays of the same shape."""
        self._signal += power(expected)
        self._noise += power(actual.astype(np.float64) - expected)

    @property
    def db(self) -> float:
        """The ratio in dB; infinite if all pairs are identical."""
        return decibels(self._signal, self._noise)


class ChannelNoise:
    """Signal to noise ratio in which every channel has the same weight, over pairs of arrays.

    The signal of a channel is its variance, so that a constant offset does not count as signal.
    The noise of a channel counts at most as much as its signal, so that one channel cannot
    outweigh the others.
    """

    def __init__(self) -> None:
        self._totals: NDArray[np.float64] | None = None
        self._count = 0

    def add(self, actual: Array, expected: Array) -> None:
        """Adds a pair of arrays, (B, C, ...), or (C,) for one image."""
        channels = 1 if expected.ndim > 1 else 0
        signal = np.moveaxis(expected.astype(np.float64), channels, 0)
        signal = signal.reshape(signal.shape[0], -1)
        noisy = np.moveaxis(actual.astype(np.float64), channels, 0).reshape(signal.shape)
        noise = np.square(noisy - signal)
        totals = np.stack([signal.sum(1), np.square(signal).sum(1), noise.sum(1)])
        self._totals = totals if self._totals is None else self._totals + totals
        self._count += signal.shape[1]

    @property
    def db(self) -> float:
        """The ratio in dB; infinite if all pairs are identical."""
        if self._totals is None:
            return math.inf
        sums, squares, noise = self._totals
        if not np.isfinite(noise).all():
            return -math.inf
        if self._count == 1:  # a single value has no variance; its square is the signal
            return decibels(float(squares.sum()), float(noise.sum()))
        signal = np.maximum(squares - np.square(sums) / self._count, 0)
        lost = np.where(noise > signal, 1.0, noise / np.where(signal > 0, signal, 1.0))
        return decibels(1.0, float(np.where(noise == 0, 0.0, lost).mean()))


def sqnr_db(actual: Array, expected: Array) -> float:
    """Signal to quantization-noise ratio of two arrays in dB; infinite if they are identical."""
    ratio = SignalToNoise()
    ratio.add(actual, expected)
    return ratio.db


def confusion_matrix(
    predicted: NDArray[np.integer], truth: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Pixel counts [truth, predicted]; pixels whose truth is not in 0..classes-1 are ignored."""
    known = (truth >= 0) & (truth < classes)
    index = truth[known].astype(np.int64) * classes + predicted[known]
    return np.bincount(index, minlength=classes**2).reshape(classes, classes)


def class_iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of each class, 0..1; NaN for classes that do not occur."""
    intersection = np.diag(confusion).astype(np.float64)
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    return np.divide(intersection, union, out=np.full(len(union), np.nan), where=union > 0)


def mean_iou(confusion: NDArray[np.int64]) -> float:
    """Mean intersection over union of the classes that occur, 0..1; NaN if none occurs."""
    iou = class_iou(confusion)
    return float(np.nanmean(iou)) if not np.isnan(iou).all() else math.nan


def regions_found(
    predicted: NDArray[np.integer], truth: NDArray[np.integer], classes: int
) -> dict[SizeBand, tuple[int, int]]:
    """Number of regions that are found, and number of all regions, by size band.

    A region is a connected area of one class. It is found if more than half of its pixels are
    predicted as that class.

    Args:
        predicted: labels (H, W).
        truth: labels (H, W); values outside of 0..classes-1 are ignored.
        classes: number of classes.
    """
    counts = dict.fromkeys(SIZE_BANDS, (0, 0))
    for label in range(classes):
        regions, count = ndimage.label(truth == label)
        if not count:
            continue
        areas = np.bincount(regions.ravel(), minlength=count + 1)[1:]
        correct = np.bincount(regions[predicted == label], minlength=count + 1)[1:]
        for area, hits in zip(areas.tolist(), correct.tolist(), strict=True):
            if area >= _MIN_REGION_AREA:
                found, total = counts[size_band(area)]
                counts[size_band(area)] = found + (2 * hits > area), total + 1
    return counts
