"""Reads ONNX Runtime's profiler: a JSON trace of the graph after the runtime's optimisations."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from device_bench.profile.trace import INFERENCES, WARMUP, Operator, Trace
from export.targets.onnx.convert import INPUT, MODULE_KEY
from export.targets.onnx.session import session_options
from lvt.errors import UserError

_KERNEL_SUFFIX = "_kernel_time"
"""End of the names of events that record a kernel."""
_GENERATED_SUFFIX = re.compile(r"(_nchwc|/\w+)$")
"""Appended by ONNX Runtime to the name of a node, or of its output, when it replaces the node."""


def record(path: Path, image: NDArray[np.float32], threads: int) -> Trace:
    """See `TraceRecorder.record`."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "trace")
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        seconds = []
        for _ in range(WARMUP + INFERENCES):
            start = time.perf_counter()
            session.run(None, {INPUT: image})
            seconds.append(time.perf_counter() - start)
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))

    kernels = [event for event in events if event["name"].endswith(_KERNEL_SUFFIX)]
    operators = tuple(_first_inference_operators(kernels, _modules(path)))
    microseconds = _split_by_inference([event["dur"] for event in kernels], len(operators))
    return Trace(
        operators,
        microseconds[WARMUP:] / 1e3,
        np.array(seconds[WARMUP:]) * 1e3,
        ("ONNX Runtime shows the graph after its optimisations, in whole microseconds",),
    )


def _split_by_inference(durations: list[int], operators: int) -> NDArray[np.float64]:
    """(inferences, operators) from the durations of consecutive inferences."""
    if not operators or len(durations) != operators * (WARMUP + INFERENCES):
        raise UserError("ONNX Runtime's trace does not contain every inference completely")
    return np.array(durations, np.float64).reshape(-1, operators)


def _first_inference_operators(
    kernels: list[dict[str, Any]], modules: dict[str, str]
) -> Iterator[Operator]:
    seen: set[str] = set()
    for event in kernels:
        details = event["args"]
        if details["node_index"] in seen:  # the second inference begins
            return
        seen.add(details["node_index"])
        name = event["name"].removesuffix(_KERNEL_SUFFIX)
        module = modules.get(name) or modules.get(_GENERATED_SUFFIX.sub("", name))
        yield Operator(details["op_name"], name, module, delegated=True)


def _modules(path: Path) -> dict[str, str]:
    """Module of each node of the file, by the names of the node and of its first output."""
    modules = {}
    for node in onnx.load(path, load_external_data=False).graph.node:
        for entry in node.metadata_props:
            if entry.key == MODULE_KEY:
                modules[node.name] = modules[node.output[0]] = entry.value
    return modules
