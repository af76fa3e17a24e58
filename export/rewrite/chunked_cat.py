"""Joining many tensors where a runtime joins few at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MAX_CAT_INPUTS = 5
"""Tensors that one operator of XNNPACK joins."""


def chunked_cat(parts: Sequence[Tensor], axis: int) -> Tensor:
    """`torch.cat` of any number of tensors, at most five in one operator.

    Args:
        parts: of the same shape, but for `axis`.
        axis: counted from the first.
    """
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    before = math.prod(shape[:axis])
    # Of another rank in every second step: converters make one operator of joins within joins.
    forms = [(before, -1), (1, before, -1)]
    while len(parts) > 1:
        parts = [part.reshape(forms[0]) for part in parts]
        firsts = range(0, len(parts), MAX_CAT_INPUTS)
        parts = [torch.cat(list(parts[first : first + MAX_CAT_INPUTS]), dim=-1) for first in firsts]
        forms.reverse()
    return parts[0].reshape(shape)
