"""ONNX Runtime on the CPU behind the session protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.session import Outputs
from export.targets.onnx.convert import INPUT, part_paths
from lvt.errors import UserError


def session_options(threads: int, *, exact: bool = False) -> onnxruntime.SessionOptions:
    """The options of all our sessions.

    Args:
        threads: 0 leaves the number to the runtime.
        exact: see `OnnxSession`.
    """
    options = onnxruntime.SessionOptions()
    if exact:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
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
        self._session = _open(model, session_options(threads, exact=exact))
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`."""
        return dict(zip(self._names, self._session.run(None, {INPUT: image}), strict=True))


class OnnxEntryPoints:
    """ONNX Runtime on the CPU for a folder with a file for each entry point.

    Args:
        folder: of a model in parts.
        threads: 0 leaves the number to the runtime.
        exact: see `OnnxSession`.

    Raises:
        UserError: the runtime refuses a file.
    """

    def __init__(self, folder: Path, *, threads: int = 0, exact: bool = False):
        # One file after the other runs, so each has all threads.
        options = session_options(threads, exact=exact)
        self._sessions = {path.stem: _open(path, options) for path in part_paths(folder)}
        self._names = {
            name: [output.name for output in session.get_outputs()]
            for name, session in self._sessions.items()
        }

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        """See `export.session.EntryPointSession.call`."""
        outputs = self._sessions[name].run(None, dict(inputs))
        return dict(zip(self._names[name], outputs, strict=True))


def _open(model: bytes | Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """A session on the CPU.

    Raises:
        UserError: the runtime refuses the model.
    """
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no common exception type
        name = "the model" if isinstance(model, bytes) else model.name
        raise UserError(f"ONNX Runtime cannot load {name}: {error}") from error
