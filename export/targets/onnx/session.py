"""ONNX Runtime on the CPU behind the session protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.session import Outputs
from export.targets.onnx.convert import INPUT
from lvt.errors import UserError


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """The options of all our sessions; 0 threads leaves the number to the runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # For these models, memory planned ahead is half as much again as memory allocated on demand,
    # and not faster; docs/performance.md has the figures.
    options.enable_mem_pattern = False
    # Do not reserve freed memory for later tensors of the same shape either.
    options.enable_mem_reuse = False
    # Threads that spin after a run would slow the sessions that a benchmark interleaves with it.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


class OnnxSession:
    """ONNX Runtime on the CPU.

    Args:
        model: the file, or its bytes.
        threads: 0 leaves the number to the runtime.
        exact: do not use int8 kernels. Values are rounded where the file quantizes them, and
            computed in float32 otherwise, so results do not depend on the processor.

    Raises:
        UserError: the runtime refuses the model.
    """

    def __init__(self, model: bytes | Path, *, threads: int = 0, exact: bool = False):
        source = model if isinstance(model, bytes) else str(model)
        options = session_options(threads)
        if exact:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has no common exception type
            name = "the model" if isinstance(model, bytes) else model.name
            raise UserError(f"ONNX Runtime cannot load {name}: {error}") from error
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`."""
        return dict(zip(self._names, self._session.run(None, {INPUT: image}), strict=True))
