"""Concatenation of many tensors for runtimes that concatenate few at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MAX_CAT_INPUTS = 5
"""Most tensors that one concatenation of XNNPACK takes."""


def chunked_cat(parts: Sequence[Tensor], axis: int) -> Tensor:
    """`torch.cat` of any number of tensors, with at most `MAX_CAT_INPUTS` in one operator.

    Args:
        parts: tensors of the same shape, except along `axis`.
        axis: 0 or larger.
    """
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    before = math.prod(shape[:axis])
    # The rank alternates from step to step, because converters merge nested concatenations.
    shapes = [(before, -1), (1, before, -1)]
    while len(parts) > 1:
        parts = [part.reshape(shapes[0]) for part in parts]
        firsts = range(0, len(parts), MAX_CAT_INPUTS)
        parts = [torch.cat(list(parts[first : first + MAX_CAT_INPUTS]), dim=-1) for first in firsts]
        shapes.reverse()
    return parts[0].reshape(shape)
