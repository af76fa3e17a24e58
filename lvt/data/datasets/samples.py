"""Labelled pictures: what an item of a data set is, for each task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lvt.panoptic.quality import PanopticTruth


@dataclass(frozen=True)
class ClassSample:
    """A picture and its class.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        label: index of the class.
    """

    image: NDArray[np.uint8]
    label: int


@dataclass(frozen=True)
class MaskSample:
    """A picture and the class of each pixel.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W), index of the class; -1 is void.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class PanopticSample:
    """A picture and its segments.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        truth: segments of the same size; labels below the number of things are things.
    """

    image: NDArray[np.uint8]
    truth: PanopticTruth
