"""Inputs of a traced model."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Inputs = tuple[NDArray[np.float32], ...]
"""The inputs of one run, by position: one image (1, 3, H, W), or those of a joint model in parts
(`quantization.joint_model`)."""


def as_tensors(inputs: Inputs) -> tuple[Tensor, ...]:
    """The inputs as tensors that share their memory."""
    return tuple(torch.from_numpy(value) for value in inputs)
