"""An ML Program as data: typed values, constants, operations in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Constant = NDArray[np.generic] | str


@dataclass(frozen=True)
class TensorType:
    """Type of a value.

    Attributes:
        dtype: element type as MIL names it: fp16, fp32, int32, bool, string...
        shape: None stands for a size that is unknown until run time.
    """

    dtype: str
    shape: tuple[int | None, ...]

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def elements(self) -> int | None:
        """Number of elements; None if a size is unknown until run time."""
        count = 1
        for size in self.shape:
            if size is None:
                return None
            count *= size
        return count


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        type: the MIL operator, such as `conv`.
        name: the name of the operation in the file.
        arguments: {parameter: names of its values}; a list parameter has several.
        outputs: names of the computed values.
        blocks: number of nested blocks; only control flow has any.
    """

    type: str
    name: str
    arguments: Mapping[str, tuple[str, ...]]
    outputs: tuple[str, ...]
    blocks: int = 0


@dataclass(frozen=True)
class Program:
    """The main function of an ML Program.

    Attributes:
        inputs: names, in the order of the package's description.
        outputs: names, in the order of the package's description.
        types: {name: type} of every value: inputs, constants and results.
        constants: {name: value} of `const` operations and literal arguments.
        operations: all but `const`, in the order of execution.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, TensorType]
    constants: Mapping[str, Constant]
    operations: tuple[Operation, ...]
