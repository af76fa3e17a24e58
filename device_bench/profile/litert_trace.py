"""Reads LiteRT's profiler: the interpreter's own operators, and XNNPACK's inside delegates."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device_bench.profile.litert_api import (
    DELEGATE_OPERATORS,
    OPERATOR,
    ProfiledModel,
    ProfilerEvent,
)
from device_bench.profile.trace import INFERENCES, WARMUP, Operator, Trace
from export.targets.tflite import flatbuffer
from export.targets.tflite.session import nhwc
from lvt.errors import UserError


def record(path: Path, image: NDArray[np.float32], threads: int) -> Trace:
    """See `TraceRecorder.record`."""
    seconds, inferences = [], []
    with ProfiledModel(path, threads) as model:
        model.set_input(nhwc(image))
        for _ in range(WARMUP + INFERENCES):
            start = time.perf_counter()
            model.run()
            seconds.append(time.perf_counter() - start)
            inferences.append([event for event in model.events() if _is_operator(event)])
    inferences, inference_ms = inferences[WARMUP:], np.array(seconds[WARMUP:]) * 1e3
    _check_plausible(inferences, inference_ms, path)
    modules = _modules(path)
    return Trace(
        tuple(_operator(event, position, modules) for position, event in enumerate(inferences[0])),
        np.array([[event.ms for event in events] for events in inferences]),
        inference_ms,
        (
            "LiteRT is profiled through its compiled model, which runs the same XNNPACK kernels as "
            "the timed interpreter",
            "XNNPACK reports whole microseconds; shorter operators count as zero",
        ),
    )


def _is_operator(event: ProfilerEvent) -> bool:
    return event.kind == OPERATOR or event.kind in DELEGATE_OPERATORS


def _check_plausible(
    inferences: list[list[ProfilerEvent]], inference_ms: NDArray[np.float64], path: Path
) -> None:
    """Reject impossible records; another version of LiteRT may write another form.

    Raises:
        UserError: the records differ between inferences, or exceed the time of the inference.
    """
    types = [[event.type for event in events] for events in inferences]
    totals = np.array([sum(event.ms for event in events) for events in inferences])
    if not types[0] or any(names != types[0] for names in types) or (totals > inference_ms).any():
        raise UserError(
            f"LiteRT's profiler records of {path.name} are not plausible; --profile needs "
            "ai-edge-litert 2.3"
        )


def _operator(event: ProfilerEvent, position: int, modules: list[str]) -> Operator:
    """Convert a record; `position` is in execution order, as indices restart in each delegate."""
    delegated = event.kind in DELEGATE_OPERATORS
    module = None if delegated else modules[event.index]
    return Operator(event.type, f"{event.type} #{position}", module or None, delegated)


def _modules(path: Path) -> list[str]:
    """Module of each operator of the file, in the file's order; empty where it is unknown."""
    graph = flatbuffer.read(path).subgraphs[0]
    outputs = [graph.tensors[int(operator.outputs[0])] for operator in graph.operators]
    return [tensor.name.decode().rpartition(";")[0] for tensor in outputs]
