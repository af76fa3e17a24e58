"""Fixed numbers of slots for detections, as the outputs of panoptic artifacts have them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

S = TypeVar("S", bound=np.generic)


def fill_slots(values: NDArray[S], slots: int) -> NDArray[S]:
    """An array of `slots` entries that starts with `values`; the others are zero."""
    filled = np.zeros((slots, *values.shape[1:]), values.dtype)
    filled[: len(values)] = values
    return filled
