"""What every runtime's profiler is read into. Knows no runtime, and sums nothing up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from device_bench.measure.statistics import Samples

WARMUP = 3
"""Inferences before those that count, so that memory arenas have their full size."""
INFERENCES = 20
"""Inferences that count."""


@dataclass(frozen=True)
class Operator:
    """One operator of the graph that really ran, after the runtime's own optimisations.

    Attributes:
        type: as the runtime calls it.
        name: of this one among all; made of type and number where the runtime has no names.
        module: dotted name of the PyTorch module it computes for; None where that is lost.
        delegated: whether the accelerator of the file's placement runs it.
    """

    type: str
    name: str
    module: str | None
    delegated: bool


@dataclass(frozen=True)
class Trace:
    """Profiled inferences of one file.

    Attributes:
        operators: in the order in which the profiler tells them.
        operator_ms: (inferences, operators), what each of them took.
        inference_ms: (inferences,), the whole of it as the caller waits for it.
        remarks: what to know of these figures, a phrase each.
    """

    operators: tuple[Operator, ...]
    operator_ms: NDArray[np.float64]
    inference_ms: Samples
    remarks: tuple[str, ...] = ()


class Reader(Protocol):
    """What the module of a runtime provides."""

    def read(self, path: Path, image: NDArray[np.float32], threads: int) -> Trace:
        """Runs a file under its runtime's profiler, INFERENCES times after WARMUP.

        Args:
            path: of the model file.
            image: (1, 3, H, W), preprocessed.
            threads: at least 1.

        Raises:
            UserError: the runtime refuses the file, or its records are not as expected.
        """
        ...
