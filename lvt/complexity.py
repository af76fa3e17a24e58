"""Multiply-accumulate counts, as the paper's FLOPs columns count them."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lvt.config import Size


def count_macs(model: nn.Module, size: Size) -> int:
    """MACs of convolutions and matrix products for one image (1, 3, *size).

    Normalisation, activations, softmax and resizing are not counted, as is usual.
    """
    # Counted on meta tensors: shapes are enough, nothing is computed.
    shadow = copy.deepcopy(model).to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shadow(torch.empty(1, 3, *size, device="meta"))
    return counter.get_total_flops() // 2


def count_parameters(model: nn.Module) -> int:
    """Trainable numbers in the model."""
    return sum(parameter.numel() for parameter in model.parameters())
