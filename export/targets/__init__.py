"""The protocol that each target implements in `export.targets.<name>.target`, imported on use."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from export.capabilities import QUANTIZED, StoredPrecision, check_installed, target_info
from export.chips import Chip
from export.converter_speed import faster_conversion
from export.entry_point import EntryPoint
from export.panoptic.graph import RoIAlign
from export.placement import Placement
from export.session import EntryPointSession, Outputs, Session
from lvt.data.preprocessing_steps import Normalise
from lvt.models import ModelSpec


@dataclass(frozen=True)
class ConversionInput:
    """Everything a target needs to write a file.

    Attributes:
        entry_points: one, `MAIN`, that takes an image; or those of a panoptic model in parts. Their
            modules are rewritten. With int8 they are `fx.GraphModule`s of ATen operators that can
            be exported again. Their weights are int8 buffers that go through
            `quantized_decomposed.dequantize_per_channel`. Their int8 activations, if any, go
            through `quantize_per_tensor` and `dequantize_per_tensor`.
        spec: task and outputs of the model.
        precision: a precision that the target has for the task, or int8.
        metadata: text to embed in the file, by key.
        pixels: for Core ML only. The normalisation that the file applies to an image of 8-bit
            pixels; None if the file takes the preprocessed tensor.
        chips: for QNN only. The chips to compile for.
        integer_io: for TFLite files of integers only. Inputs and outputs are int8, too.
    """

    entry_points: tuple[EntryPoint, ...]
    spec: ModelSpec
    precision: StoredPrecision
    metadata: dict[str, str]
    pixels: Normalise | None = None
    chips: tuple[Chip, ...] = ()
    integer_io: bool = False

    @property
    def quantized(self) -> bool:
        """Whether the model has int8 weights."""
        return self.precision in QUANTIZED

    @property
    def in_parts(self) -> bool:
        """Whether the file has several entry points."""
        return len(self.entry_points) > 1


class Target(Protocol):
    """The functions of a target's module.

    Attributes:
        roi_align: the form of RoIAlign that suits the target.
    """

    roi_align: RoIAlign

    def write(self, conversion: ConversionInput, path: Path) -> None:
        """Converts the model and writes the file, or the folder if the format is one."""
        ...

    def open_session(self, path: Path, *, threads: int = 0) -> Session:
        """Opens a file of the whole model in its runtime; 0 threads: the runtime's choice."""
        ...

    def open_entry_points(self, path: Path, *, threads: int = 0) -> EntryPointSession:
        """Opens a file in parts in its runtime; 0 threads leaves the number to the runtime."""
        ...

    def placement(self, path: Path) -> Placement:
        """Which operators of a written file the accelerator runs, and which other kernels."""
        ...

    def module_outputs(self, path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
        """Outputs of inner modules of a written file, for those of `names` that it contains.

        Of a file in parts, those of `core`.
        """
        ...

    def versions(self, path: Path) -> dict[str, str]:
        """Versions of the converter and the runtime, and the requirements of a written file."""
        ...

    def runtime_name(self) -> str:
        """The runtime or evaluator of `open_session` on this machine."""
        ...


def load_target(name: str) -> Target:
    """Imports the module of a target, with its converter and runtime.

    Raises:
        UserError: there is no such target, or its extra is not installed.
    """
    info = target_info(name)
    check_installed([info])
    with faster_conversion():  # converters take seconds to import
        return cast(Target, importlib.import_module(f"export.targets.{info.module}.target"))
