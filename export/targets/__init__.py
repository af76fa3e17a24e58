"""What a target format provides; its module is imported when it is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from export.capabilities import StoredPrecision, installed, missing_extra, target_info
from export.panoptic.graph import RoIAlign
from export.placement import Placement
from export.session import Outputs, Session
from lvt.config import Size
from lvt.data.preprocessing_steps import Normalise
from lvt.models import ModelSpec


@dataclass(frozen=True)
class ConversionInput:
    """Everything a target needs to write a file.

    Attributes:
        model: what is converted: rewritten, panoptic models as a static graph. With int8 an
            `fx.GraphModule` of ATen operators, which can be exported again: weights are int8
            buffers that `quantized_decomposed.dequantize_per_channel` restores, and the activations
            to be kept in int8, if any, pass `quantize_per_tensor` and `dequantize_per_tensor`.
        spec: what it is.
        size: height and width of the images.
        precision: one the target has for the task, or int8.
        metadata: to embed.
        pixels: Core ML only. The file takes an image of 8-bit pixels, to which it applies this
            normalisation itself; None for the preprocessed tensor.
    """

    model: nn.Module
    spec: ModelSpec
    size: Size
    precision: StoredPrecision
    metadata: dict[str, str]
    pixels: Normalise | None = None

    @property
    def quantized(self) -> bool:
        """Whether the model has int8 weights."""
        return self.precision in ("int8", "int8-weights")


class Target(Protocol):
    """What a target's module provides.

    Attributes:
        roi_align: the form of RoIAlign that suits the target.
    """

    roi_align: RoIAlign

    def write(self, conversion: ConversionInput, path: Path) -> None:
        """Converts and writes the file, or the folder where the format is one."""
        ...

    def open_session(self, path: Path, *, threads: int = 0) -> Session:
        """Opens a written file in its runtime; 0 threads leaves the choice to the runtime."""
        ...

    def placement(self, path: Path) -> Placement:
        """Where the operators of a written file run."""
        ...

    def module_outputs(self, path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
        """Outputs of inner modules of the written file, for those `names` it can still tell."""
        ...

    def versions(self, path: Path) -> dict[str, str]:
        """Versions of the converter and the runtime, and what a written file asks for."""
        ...

    def runtime_name(self) -> str:
        """What `open_session` runs files in, on this machine."""
        ...


def load_target(name: str) -> Target:
    """The module behind a target (a heavy import).

    Raises:
        UserError: its extra is not installed.
    """
    info = target_info(name)
    if not installed(info):
        raise missing_extra([info])
    return cast(Target, importlib.import_module(f"export.targets.{info.module}.target"))
