"""From raw outputs to what a person asks for: best classes, label maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lvt.config import Size
from lvt.semantic import logits_at_original_size

_CLASSES_AT_ONCE = 16
"""Full-size logits of 150 classes would take gigabytes; a running maximum does not."""


@dataclass(frozen=True)
class ClassScore:
    """One row of a classification result."""

    index: int
    probability: float


def ranked_classes(logits: NDArray[np.float32]) -> list[ClassScore]:
    """All classes of logits (1, K), most probable first; ties by index."""
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
    """Semantic logits (1, K, h, w) to class indices (H, W) at the picture's size.

    As in the official evaluation: bilinear to the network's input size, padding cut off, bilinear
    again to the original size, argmax.

    Args:
        logits: at any fraction of the network's input size.
        network_size: (height, width) of the network's input.
        original_size: of the picture the labels are wanted for.
        content_size: of the picture in the network's input; None where it has no padding.
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
