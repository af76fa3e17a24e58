"""What the losses learn from: images of one size with their boxes, masks and semantic labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lvt.data.preprocessing import IMAGENET_MEAN_255, IMAGENET_STD_255
from lvt.panoptic.quality import PanopticTruth

IGNORED_PIXEL = 255
"""Semantic target of void."""
SEMANTIC_STRIDE = 4
_CENTRE = 2  # the pixel of a cell that speaks for it
LEAST_SIDE = 2
"""Things of which less is visible, in pixels, are no instances to learn from."""


@dataclass(frozen=True)
class Example:
    """A picture and its truth.

    Attributes:
        image: uint8 RGB (H, W, 3).
        truth: of the same size; label < things is a thing.
    """

    image: NDArray[np.uint8]
    truth: PanopticTruth


@dataclass(frozen=True)
class Instances:
    """The things of one image.

    Attributes:
        boxes: (G, 4), network pixels.
        labels: int64 (G,).
        ids: int64 (G,), their values in the map of ids.
    """

    boxes: Tensor
    labels: Tensor
    ids: Tensor


@dataclass(frozen=True)
class Batch:
    """Images of one padded size, and what is in them.

    Attributes:
        images: (B, 3, H, W), normalised.
        sizes: (height, width) of each without the padding.
        ids: int64 (B, H, W), the segment of each pixel; void and padding are 0.
        semantic: int64 (B, H/4, W/4): stuff classes, then "some thing"; or `IGNORED_PIXEL`.
        instances: of each image.
    """

    images: Tensor
    sizes: tuple[tuple[int, int], ...]
    ids: Tensor
    semantic: Tensor
    instances: tuple[Instances, ...]


def flip(example: Example) -> Example:
    """The example mirrored left to right."""
    truth = PanopticTruth(example.truth.ids[:, ::-1], example.truth.segments)
    return Example(example.image[:, ::-1], truth)


def crop(example: Example, size: tuple[int, int], rng: np.random.Generator) -> Example:
    """A random part of at most `size` (height, width)."""
    height, width = example.image.shape[:2]
    top = int(rng.integers(max(0, height - size[0]) + 1))
    left = int(rng.integers(max(0, width - size[1]) + 1))
    window = np.s_[top : top + size[0], left : left + size[1]]
    truth = PanopticTruth(example.truth.ids[window], example.truth.segments)
    return Example(example.image[window], truth)


def collate(
    examples: Sequence[Example],
    size: tuple[int, int],
    classes: tuple[int, int],
) -> Batch:
    """A batch, normalised as the official detectors do, padded on the right and at the bottom.

    Args:
        examples: each at most as large as `size`.
        size: (height, width) of the batch, multiples of 32.
        classes: number of thing and of stuff classes.
    """
    things, some_thing = classes
    mean, std = np.array(IMAGENET_MEAN_255, np.float32), np.array(IMAGENET_STD_255, np.float32)
    images = np.zeros((len(examples), *size, 3), np.float32)
    ids = np.zeros((len(examples), *size), np.int64)
    semantic = np.full((len(examples), *size), IGNORED_PIXEL, np.int64)
    for index, example in enumerate(examples):
        height, width = example.image.shape[:2]
        pixels = example.image.astype(np.float32)
        images[index, :height, :width] = (pixels - mean) / std
        values, inverse = np.unique(example.truth.ids, return_inverse=True)
        known = {segment.id: segment for segment in example.truth.segments}
        lookup = np.full((len(values), 2), (0, IGNORED_PIXEL), np.int64)
        for row, value in enumerate(values.tolist()):
            if value in known:
                label = known[value].label
                lookup[row] = value, some_thing if label < things else label - things
        dense = lookup[inverse].reshape(height, width, 2)
        ids[index, :height, :width] = dense[..., 0]
        semantic[index, :height, :width] = dense[..., 1]
    return Batch(
        images=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        sizes=tuple((example.image.shape[0], example.image.shape[1]) for example in examples),
        ids=torch.from_numpy(ids),
        semantic=torch.from_numpy(semantic[:, _CENTRE::SEMANTIC_STRIDE, _CENTRE::SEMANTIC_STRIDE]),
        instances=tuple(_instances(example, things) for example in examples),
    )


def _instances(example: Example, things: int) -> Instances:
    boxes, labels, ids = [], [], []
    for segment in example.truth.segments:
        if segment.label >= things or segment.crowd:
            continue
        mask = example.truth.ids == segment.id
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            continue
        x1, y1, x2, y2 = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        if min(x2 - x1, y2 - y1) >= LEAST_SIDE:
            boxes.append((x1, y1, x2, y2))
            labels.append(segment.label)
            ids.append(segment.id)
    return Instances(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(ids, dtype=torch.int64),
    )
