"""The common form of all profilers' records, before any aggregation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from device_bench.measure.statistics import LatencySamples

WARMUP = 3
"""Inferences before the recorded ones, so that memory arenas reach their full size."""
INFERENCES = 20
"""Recorded inferences."""


@dataclass(frozen=True)
class Operator:
    """One operator of the graph that ran, after the runtime's own optimisations.

    Attributes:
        type: name of the operator type in the runtime.
        name: unique name; made of type and number where the runtime has no names.
        module: dotted name of the PyTorch module that it computes for; None: unknown.
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
        operators: in the order of the profiler's records.
        operator_ms: (inferences, operators), time of each operator.
        inference_ms: (inferences,), total time as seen by the caller.
        remarks: limits of the measurement, one phrase each.
    """

    operators: tuple[Operator, ...]
    operator_ms: NDArray[np.float64]
    inference_ms: LatencySamples
    remarks: tuple[str, ...] = ()


class TraceRecorder(Protocol):
    """Interface of the module of a runtime."""

    def record(self, path: Path, image: NDArray[np.float32], threads: int) -> Trace:
        """Run a file under its runtime's profiler: INFERENCES times, after WARMUP.

        Args:
            path: of the model file.
            image: (1, 3, H, W), preprocessed.
            threads: at least 1.

        Raises:
            UserError: the runtime rejects the file, or its records have an unexpected form.
        """
        ...
