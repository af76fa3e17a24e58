"""Turns raw outputs into ranked classes and label maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lvt.config import Size
from lvt.semantic import logits_at_original_size

_CLASSES_AT_ONCE = 16
"""Number of classes that are resized together, because full-size logits of 150 take gigabytes."""


@dataclass(frozen=True)
class ClassScore:
    """A class of a classification result.

    Attributes:
        index: index of the class.
        probability: 0..1.
    """

    index: int
    probability: float


def ranked_classes(logits: NDArray[np.float32]) -> list[ClassScore]:
    """All classes of logits (1, K), most probable first; equal ones by index."""
    row = logits[0].astype(np.float64)
    exp = np.exp(row - row.max())
    probability = exp / exp.sum()
    best = np.argsort(-row, kind="stable")
    return [ClassScore(int(i), float(probability[i])) for i in best]


def label_map(
    logits: NDArray[np.float32],
    network_size: Size,
    original_size: Size,
    content_size: Size | None = None,
) -> NDArray[np.int64]:
    """Class indices (H, W) at the original size, from semantic logits (1, K, h, w).

    As in the official evaluation: bilinear resize to the network's input, crop to the part without
    padding, bilinear resize to the original size, argmax.

    Args:
        logits: of any size.
        network_size: (height, width) of the network's input.
        original_size: (height, width) of the original picture.
        content_size: (height, width) of the part of the input that is not padding; None if there
            is no padding.
    """
    scores = torch.from_numpy(logits)
    content = content_size or network_size
    best = torch.full(original_size, -torch.inf)
    labels = torch.zeros(original_size, dtype=torch.int64)
    for start in range(0, scores.shape[1], _CLASSES_AT_ONCE):
        part = scores[:, start : start + _CLASSES_AT_ONCE]
        part = logits_at_original_size(part, network_size, content, original_size)
        value, index = part[0].max(dim=0)
        better = value > best
        best = torch.where(better, value, best)
        labels = torch.where(better, index + start, labels)
    return labels.numpy()
