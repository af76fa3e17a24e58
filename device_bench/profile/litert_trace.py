"""LiteRT's profiler: the interpreter's own operators, and XNNPACK's inside the delegates."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device_bench.profile.litert_api import (
    DELEGATE_OPERATORS,
    OPERATOR,
    Event,
    ProfiledModel,
)
from device_bench.profile.trace import INFERENCES, WARMUP, Operator, Trace
from export.targets.tflite import flatbuffer
from export.targets.tflite.session import nhwc
from lvt.errors import UserError


def read(path: Path, image: NDArray[np.float32], threads: int) -> Trace:
    """See `Reader.read`."""
    seconds, runs = [], []
    with ProfiledModel(path, threads) as model:
        model.set_input(nhwc(image))
        for _ in range(WARMUP + INFERENCES):
            start = time.perf_counter()
            model.run()
            seconds.append(time.perf_counter() - start)
            runs.append(
                [e for e in model.events() if e.kind == OPERATOR or e.kind in DELEGATE_OPERATORS]
            )
    runs, inference_ms = runs[WARMUP:], np.array(seconds[WARMUP:]) * 1e3
    _check(runs, inference_ms, path)
    modules = _modules(path)
    return Trace(
        tuple(_operator(event, place, modules) for place, event in enumerate(runs[0])),
        np.array([[event.ms for event in run] for run in runs]),
        inference_ms,
        (
            "LiteRT is profiled through its compiled model, which runs XNNPACK's kernels as the "
            "timed interpreter does",
            "XNNPACK tells whole microseconds; what takes less counts as nothing",
        ),
    )


def _check(runs: list[list[Event]], inference_ms: NDArray[np.float64], path: Path) -> None:
    """Refuses records that cannot be true; another version may write them otherwise.

    Raises:
        UserError: they differ between inferences, or take longer than the inference.
    """
    same = all([e.type for e in run] == [e.type for e in runs[0]] for run in runs)
    totals = [sum(event.ms for event in run) for run in runs]
    if not runs[0] or not same or any(np.array(totals) > inference_ms):
        raise UserError(f"LiteRT's records of {path.name} make no sense; --profile reads 2.3's")


def _operator(event: Event, place: int, modules: list[str]) -> Operator:
    """Args: `place`: in the order of execution; indices begin anew in each delegate."""
    delegated = event.kind in DELEGATE_OPERATORS
    module = None if delegated else modules[event.index]
    return Operator(event.type, f"{event.type} #{place}", module or None, delegated)


def _modules(path: Path) -> list[str]:
    """Modules of the file's operators, in the file's order; empty where there is none."""
    graph = flatbuffer.read(path).subgraphs[0]
    outputs = [graph.tensors[int(operator.outputs[0])] for operator in graph.operators]
    return [tensor.name.decode().rpartition(";")[0] for tensor in outputs]
