"""The ExecuTorch runtime behind the session protocol."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime
from numpy.typing import NDArray

from export.session import Outputs
from export.targets.executorch.program import METHOD, OUTPUTS, text_constant
from lvt.errors import UserError


class ExecuTorchSession:
    """The ExecuTorch runtime on the CPU.

    All sessions of a process share one thread pool; the session opened last sets its size.

    Args:
        path: a .pte file that lvt-export wrote.
        threads: 0 for one thread per core.

    Raises:
        UserError: the runtime refuses the file, or lvt-export did not write it.
    """

    def __init__(self, path: Path, *, threads: int = 0):
        _unsafe_reset_threadpool(threads or os.cpu_count() or 1)
        try:
            # The program reads its weights from the file's bytes as long as it exists.
            self._program = Runtime.get().load_program(path.read_bytes())
            method = self._program.load_method(METHOD)
            outputs = text_constant(self._program, OUTPUTS)
        except (RuntimeError, ValueError) as error:
            raise UserError(f"ExecuTorch cannot load {path.name}: {error}") from error
        if method is None or outputs is None:
            raise UserError(f"{path.name} is not an ExecuTorch file that lvt-export wrote")
        self._method = method
        self._names: list[str] = json.loads(outputs)

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`."""
        values = self._method.execute([torch.from_numpy(np.ascontiguousarray(image))])
        # Copied, because the next run overwrites the runtime's memory.
        return {n: v.numpy().copy() for n, v in zip(self._names, values, strict=True)}
