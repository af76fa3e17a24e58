"""ONNX Runtime's profiler: a JSON trace of the graph as the runtime has optimised it."""

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

_EVENT = "_kernel_time"
_MADE_BY_RUNTIME = re.compile(r"(_nchwc|/\w+)$")
"""What ONNX Runtime appends to the name of a node, or of its output, for a node in its place."""


def read(path: Path, image: NDArray[np.float32], threads: int) -> Trace:
    """See `Reader.read`."""
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

    kernels = [event for event in events if event["name"].endswith(_EVENT)]
    operators = tuple(_operators(kernels, _modules(path)))
    microseconds = _per_inference([event["dur"] for event in kernels], len(operators))
    return Trace(
        operators,
        microseconds[WARMUP:] / 1e3,
        np.array(seconds[WARMUP:]) * 1e3,
        ("ONNX Runtime shows the graph as it has optimised it, in whole microseconds",),
    )


def _per_inference(values: list[int], operators: int) -> NDArray[np.float64]:
    """(inferences, operators) of what was written one inference after the other."""
    if not operators or len(values) != operators * (WARMUP + INFERENCES):
        raise UserError("ONNX Runtime's trace does not hold every inference in full")
    return np.array(values, np.float64).reshape(-1, operators)


def _operators(kernels: list[dict[str, Any]], modules: dict[str, str]) -> Iterator[Operator]:
    """Those of the first inference."""
    seen: set[str] = set()
    for event in kernels:
        details = event["args"]
        if details["node_index"] in seen:
            return
        seen.add(details["node_index"])
        name = event["name"].removesuffix(_EVENT)
        module = modules.get(name) or modules.get(_MADE_BY_RUNTIME.sub("", name))
        yield Operator(details["op_name"], name, module, delegated=True)


def _modules(path: Path) -> dict[str, str]:
    """Modules of the file's nodes, by the name of the node and by that of its first output."""
    modules = {}
    for node in onnx.load(path, load_external_data=False).graph.node:
        for entry in node.metadata_props:
            if entry.key == MODULE_KEY:
                modules[node.name] = modules[node.output[0]] = entry.value
    return modules
