"""Entry points: the functions of a model file, with their inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

MAIN = "main"
"""Name of the only entry point of a file that holds the whole model."""


@dataclass(frozen=True)
class TensorInfo:
    """One input or output."""

    name: str
    shape: tuple[int, ...]
    layout: str
    meaning: str
    dtype: str = "float32"

    def to_dict(self) -> dict[str, Any]:
        """The manifest's entry."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "layout": self.layout,
            "meaning": self.meaning,
        }


@dataclass(frozen=True)
class EntryPoint:
    """One function of a model file.

    Attributes:
        name: unique in the file.
        module: computes it. Takes the inputs by position, and returns the outputs in their order.
        inputs: as the module takes them; images are NCHW.
        outputs: as the module returns them.
    """

    name: str
    module: nn.Module
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in order."""
        return [output.name for output in self.outputs]

    def named(self, outputs: Tensor | tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The return value of the module as {output name: tensor}."""
        values = (outputs,) if isinstance(outputs, Tensor) else outputs
        return dict(zip(self.output_names, values, strict=True))

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Zeros in the shapes of the inputs, for tracing."""
        return tuple(torch.zeros(info.shape) for info in self.inputs)
