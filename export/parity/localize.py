"""Finds the first module whose output deviates from the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite import registered
from export.session import Outputs
from lvt.data.metrics import sqnr_db
from lvt.layers import PatchEmbed
from lvt.panoptic.fpn import NamedConv
from lvt.panoptic.semantic_head import ConvUpsample


@dataclass(frozen=True)
class Deviation:
    """The first module that deviates.

    Attributes:
        module: dotted name in the reference.
        side: `rewrite` if the rewritten PyTorch module already deviates, `runtime` if only the file
            does.
        sqnr_db: SQNR of the module's output against the reference's.
    """

    module: str
    side: str
    sqnr_db: float

    def __str__(self) -> str:
        where = "the rewritten PyTorch module" if self.side == "rewrite" else "the runtime only"
        return f"deviation starts at {self.module} ({self.sqnr_db:.1f} dB), in {where}"


def comparison_points(reference: nn.Module, recipe: Recipe) -> list[str]:
    """Names of modules whose output exists in the reference, the rewrite and the file.

    These are modules with a rewrite, patch embeddings, and the pyramid and semantic branch of
    panoptic models.
    """
    types = (*registered(recipe), PatchEmbed, NamedConv, ConvUpsample)
    return [name for name, module in reference.named_modules() if name and type(module) in types]


def _record(model: nn.Module, names: list[str], image: NDArray[np.float32]) -> Outputs:
    """Outputs of those of the named modules that the model has, in order of execution."""
    recorded: Outputs = {}

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):  # whole networks return several tensors
                recorded[name] = output.numpy()

        return keep

    modules = dict(model.named_modules())
    present = [name for name in names if name in modules]
    handles = [modules[name].register_forward_hook(hook(name)) for name in present]
    try:
        with torch.inference_mode():
            model(torch.from_numpy(image))
    finally:
        for handle in handles:
            handle.remove()
    return recorded


def _agreement_db(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> float | None:
    """SQNR of a map that may have another layout (NCHW or NHWC) than `expected`.

    Shapes alone may fit both layouts; the right one has the higher SQNR. None if no layout fits:
    the converter fused the module's last operation with the next module's.
    """
    orders = ((0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2))
    views = [actual.transpose(order) for order in orders] if actual.ndim == 4 else [actual]
    fitting = [sqnr_db(view, expected) for view in views if view.shape == expected.shape]
    return max(fitting, default=None)


def first_deviation(
    reference: nn.Module,
    exported: nn.Module,
    recipe: Recipe,
    file_outputs: Callable[[list[str]], Outputs],
    image: NDArray[np.float32],
    min_sqnr_db: float,
) -> Deviation | None:
    """The first comparison point below the minimum SQNR, in the PyTorch rewrite, else in the file.

    Args:
        reference: the reference model.
        exported: the module that was converted (rewritten or not).
        recipe: its set of rewrites.
        file_outputs: returns outputs of inner modules of the written file for `image`.
        image: (1, 3, H, W).
        min_sqnr_db: a lower SQNR is a deviation.
    """
    names = comparison_points(reference, recipe)
    expected = _record(reference, names, image)
    for side, actual in (
        ("rewrite", _record(exported, names, image)),
        ("runtime", file_outputs(list(expected))),
    ):
        for name, value in expected.items():
            sqnr = _agreement_db(actual[name], value) if name in actual else None
            if sqnr is not None and not sqnr >= min_sqnr_db:
                return Deviation(name, side, sqnr)
    return None
