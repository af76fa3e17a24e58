"""Reads ExecuTorch's event tracer: its own kernels, and XNNPACK's operators inside delegates."""

from __future__ import annotations

import re
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from executorch.devtools import Inspector
from executorch.extension.pybindings import portable_lib
from numpy.typing import NDArray

from device_bench.profile.trace import INFERENCES, WARMUP, Operator, Trace
from export.targets.executorch.program import METHOD
from lvt.errors import UserError

_INFERENCE_BLOCK = "Execute"
"""The inspector's name for the events of inferences."""
_KERNEL_PREFIX = "native_call_"
"""Start of the names of ExecuTorch's own kernels."""


def record(path: Path, image: NDArray[np.float32], threads: int) -> Trace:
    """See `TraceRecorder.record`."""
    portable_lib._unsafe_reset_threadpool(threads)
    program = path.read_bytes()  # must outlive the module, which reads its weights from it
    module = portable_lib._load_for_executorch_from_buffer(program, enable_etdump=True)
    tensor = torch.from_numpy(np.ascontiguousarray(image))
    seconds = []
    for _ in range(WARMUP + INFERENCES):
        start = time.perf_counter()
        module.run_method(METHOD, [tensor])
        seconds.append(time.perf_counter() - start)

    operators, columns = [], []
    for name, delegated, milliseconds in _events(module):
        operator_type = re.sub(r" #\d+$", "", name) if delegated else _kernel_type(name)
        operators.append(
            Operator(operator_type, name.removeprefix(_KERNEL_PREFIX), None, delegated)
        )
        columns.append(milliseconds)
    if not operators or any(len(column) != WARMUP + INFERENCES for column in columns):
        raise UserError(
            f"ExecuTorch's trace of {path.name} does not contain every inference completely"
        )
    return Trace(
        tuple(operators),
        np.array(columns).T[WARMUP:],
        np.array(seconds[WARMUP:]) * 1e3,
        ("XNNPACK reports whole microseconds; shorter operators count as zero",),
    )


def _events(module: object) -> list[tuple[str, bool, list[float]]]:
    """Name, whether a delegate ran it, and milliseconds in each inference."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about tensor values, which are not recorded
        path = Path(folder) / "trace.etdp"
        module.write_etdump_result_to_file(str(path))  # type: ignore[attr-defined]
        inspector = Inspector(etdump_path=str(path))
    return [
        (event.name, event.is_delegated_op, event.perf_data.raw)
        for block in inspector.event_blocks
        if block.name == _INFERENCE_BLOCK
        for event in block.events
        if event.perf_data is not None
        and (event.is_delegated_op or event.name.startswith(_KERNEL_PREFIX))
    ]


def _kernel_type(name: str) -> str:
    """`topk` for `native_call_topk.values`."""
    return name.removeprefix(_KERNEL_PREFIX).split(".")[0]
