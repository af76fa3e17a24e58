"""Multiply-accumulate and parameter counts, as in the FLOPs columns of the paper."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(model: nn.Module, *shapes: tuple[int, ...]) -> int:
    """MACs of convolutions and matrix products for inputs of these shapes.

    Normalisation, activations, softmax and resizing are not counted, as usual.
    """
    # Meta tensors have shapes but no values, so nothing is computed.
    meta_model = copy.deepcopy(model).to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        meta_model(*(torch.empty(shape, device="meta") for shape in shapes))
    return counter.get_total_flops() // 2


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
