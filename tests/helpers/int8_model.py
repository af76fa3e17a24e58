"""A small model in int8, as `quantization` makes it: for tests of targets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lvt.models import ModelSpec
from quantization.backend_config import BACKEND_CONFIGS, for_weights_only
from tests.conftest import TINY
from tests.helpers.models import calibrate_model


class Small(nn.Module):
    """Four maps of everything that is computed in int8; the first two serve inside as well."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.block = nn.Sequential(
            nn.Conv2d(8, 64, 3, padding=1), nn.GELU(), nn.Conv2d(64, 8, 3, padding=1)
        )
        self.tail = nn.Conv2d(16, 4, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        first = F.relu(self.stem(image))
        second = first + self.block(first)
        second = second + self.block(second)
        larger = F.interpolate(second, scale_factor=2.0, mode="bilinear", align_corners=False)
        return first, second, larger, self.tail(torch.cat([first, second], 1))


SMALL_SPEC = ModelSpec("backbone", TINY)
"""A backbone has four outputs too."""


def small() -> nn.Module:
    """Reproducible weights. Arithmetic outside of any module would be taken for that of boxes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(Small()).eval()


class Loud(nn.Module):
    """Layers whose sums are as large as int8 allows: positive weights, maps at their maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 9, 3, padding=1)
        self.wide = nn.Conv2d(9, 32, 1)
        self.strided = nn.Conv2d(32, 16, 3, stride=2, padding=1)
        self.last = nn.Conv2d(16, 4, 1)
        for layer in (self.stem, self.wide, self.strided, self.last):
            most = 1 / layer.weight[0].numel()  # a layer gives means of what goes in
            nn.init.uniform_(layer.weight, 0.8 * most, most)
            nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        first = self.stem(image)
        second = self.wide(first)
        third = self.strided(second)
        return first, second, third, self.last(third)


def loud() -> tuple[nn.Module, Tensor]:
    """The model and a bright image, (1, 3, 16, 24)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(Loud()).eval(), 1 + torch.rand(1, 3, 16, 24) / 8


def in_int8(
    model: nn.Module, image: Tensor, *, activations: bool = True, target: str = "tflite"
) -> fx.GraphModule:
    """The model with int8 weights and, unless they are left out, int8 activations.

    Args:
        model: the reference or what it has been rewritten to.
        image: what the ranges of the activations are taken from.
        activations: whether they are int8 too.
        target: whose runtime it is for.
    """
    size = (image.shape[2], image.shape[3])
    backend_config = (
        BACKEND_CONFIGS[target] if activations else for_weights_only(BACKEND_CONFIGS[target])
    )
    calibrated = calibrate_model(model, size, backend_config, [image.numpy()], "minmax")
    return calibrated.program() if activations else calibrated.weights_only()
