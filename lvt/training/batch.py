"""Batches: images of one padded size with their boxes, segment ids and semantic targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lvt.config import Size
from lvt.data.datasets.samples import PanopticSample
from lvt.data.preprocessing import IMAGENET_MEAN_255, IMAGENET_STD_255

IGNORED_PIXEL = 255
"""Semantic target of void pixels."""
SEMANTIC_STRIDE = 4
"""Network pixels for each semantic target, per side."""
_CENTRE = 2
"""Row and column, among the pixels of a semantic target, of the pixel whose class it takes."""
MIN_INSTANCE_SIDE = 2
"""Things whose visible box is narrower or lower than this, in pixels, are no instances."""


@dataclass(frozen=True)
class Instances:
    """The things of one image.

    Attributes:
        boxes: (G, 4), network pixels.
        labels: int64 (G,).
        ids: int64 (G,), values in the map of segment ids.
    """

    boxes: Tensor
    labels: Tensor
    ids: Tensor


@dataclass(frozen=True)
class Batch:
    """Images of one padded size and their targets.

    Attributes:
        images: (B, 3, H, W), normalised.
        sizes: (height, width) of each image without the padding.
        ids: int64 (B, H, W), segment id of each pixel; void and padding are 0.
        semantic: int64 (B, H/4, W/4): stuff classes, then "some thing", or `IGNORED_PIXEL`.
        instances: the things of each image.
    """

    images: Tensor
    sizes: tuple[Size, ...]
    ids: Tensor
    semantic: Tensor
    instances: tuple[Instances, ...]


def collate(samples: Sequence[PanopticSample], size: Size, classes: tuple[int, int]) -> Batch:
    """A batch of samples, normalised and padded with zeros on the right and at the bottom.

    Args:
        samples: each at most as large as `size`.
        size: (height, width) of the batch, multiples of 32.
        classes: number of thing classes and of stuff classes.
    """
    things, some_thing = classes
    mean, std = np.array(IMAGENET_MEAN_255, np.float32), np.array(IMAGENET_STD_255, np.float32)
    images = np.zeros((len(samples), *size, 3), np.float32)
    ids = np.zeros((len(samples), *size), np.int64)
    semantic = np.full((len(samples), *size), IGNORED_PIXEL, np.int64)
    for index, sample in enumerate(samples):
        height, width = sample.image.shape[:2]
        images[index, :height, :width] = (sample.image.astype(np.float32) - mean) / std
        values, inverse = np.unique(sample.truth.ids, return_inverse=True)
        segments = {segment.id: segment for segment in sample.truth.segments}
        lookup = np.full((len(values), 2), (0, IGNORED_PIXEL), np.int64)  # id, semantic target
        for row, value in enumerate(values.tolist()):
            if value in segments:
                label = segments[value].label
                lookup[row] = value, some_thing if label < things else label - things
        targets = lookup[inverse].reshape(height, width, 2)
        ids[index, :height, :width] = targets[..., 0]
        semantic[index, :height, :width] = targets[..., 1]
    return Batch(
        images=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        sizes=tuple((sample.image.shape[0], sample.image.shape[1]) for sample in samples),
        ids=torch.from_numpy(ids),
        semantic=torch.from_numpy(semantic[:, _CENTRE::SEMANTIC_STRIDE, _CENTRE::SEMANTIC_STRIDE]),
        instances=tuple(_instances(sample, things) for sample in samples),
    )


def _instances(sample: PanopticSample, things: int) -> Instances:
    boxes, labels, ids = [], [], []
    for segment in sample.truth.segments:
        if segment.label >= things or segment.crowd:
            continue
        mask = sample.truth.ids == segment.id
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            continue
        x1, y1, x2, y2 = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        if min(x2 - x1, y2 - y1) >= MIN_INSTANCE_SIDE:
            boxes.append((x1, y1, x2, y2))
            labels.append(segment.label)
            ids.append(segment.id)
    return Instances(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(ids, dtype=torch.int64),
    )
