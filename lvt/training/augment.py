"""Random changes of training samples."""

from __future__ import annotations

import numpy as np

from lvt.config import Size
from lvt.data.datasets.samples import PanopticSample
from lvt.panoptic.quality import PanopticTruth


def flip(sample: PanopticSample) -> PanopticSample:
    """The sample mirrored left to right."""
    truth = PanopticTruth(sample.truth.ids[:, ::-1], sample.truth.segments)
    return PanopticSample(sample.image[:, ::-1], truth)


def crop(sample: PanopticSample, size: Size, rng: np.random.Generator) -> PanopticSample:
    """A random part of the sample, at most `size` (height, width)."""
    height, width = sample.image.shape[:2]
    top = int(rng.integers(max(0, height - size[0]) + 1))
    left = int(rng.integers(max(0, width - size[1]) + 1))
    window = np.s_[top : top + size[0], left : left + size[1]]
    truth = PanopticTruth(sample.truth.ids[window], sample.truth.segments)
    return PanopticSample(sample.image[window], truth)
