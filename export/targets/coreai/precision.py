"""A model that computes in float16 between float32 images and float32 outputs."""

from __future__ import annotations

import copy

from torch import Tensor, nn


class _Float16(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = copy.deepcopy(model).half()

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs = self.model(image.half())
        if isinstance(outputs, Tensor):
            return outputs.float()
        return tuple(output.float() for output in outputs)


def in_float16(model: nn.Module) -> nn.Module:
    """Weights and arithmetic in float16; the model itself is left alone."""
    return _Float16(model).eval()
