"""Sources of training samples. A source maps an index to a sample, always to the same one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from lvt.config import Size
from lvt.data.datasets.coco_panoptic import CocoPanoptic
from lvt.data.datasets.samples import PanopticSample
from lvt.data.resize import resize_uint8
from lvt.panoptic.quality import PanopticTruth


class SampleSource(Protocol):
    """Samples by index, from 0 to the length - 1."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> PanopticSample: ...


class ResizedCocoPanoptic:
    """A data set in COCO's panoptic format with its own categories, resized for training.

    Args:
        folder: see `CocoPanoptic`.
        size: (height, width) into which pictures are resized, keeping their ratio.

    Attributes:
        names: names of the classes, things first.
        palette: colours of the classes, if the data set has them.
        things: number of thing classes.
        stuff: number of stuff classes.

    Raises:
        UserError: see `CocoPanoptic`.
    """

    def __init__(self, folder: Path, size: Size):
        self.size = size
        self._data = CocoPanoptic(folder)
        self.names = self._data.names
        self.palette = self._data.palette
        self.things = self._data.things
        self.stuff = len(self.names) - self.things

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> PanopticSample:
        sample = self._data[index]
        image, ids = sample.image, sample.truth.ids
        factor = min(self.size[0] / image.shape[0], self.size[1] / image.shape[1])
        height, width = (max(1, int(side * factor + 0.5)) for side in image.shape[:2])
        rows = ((np.arange(height) + 0.5) * ids.shape[0] / height).astype(np.int64)
        columns = ((np.arange(width) + 0.5) * ids.shape[1] / width).astype(np.int64)
        return PanopticSample(
            resize_uint8(image, (height, width), "opencv_bilinear"),
            PanopticTruth(ids[np.ix_(rows, columns)], sample.truth.segments),
        )
