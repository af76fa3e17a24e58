"""ExecuTorch: lowered to XNNPACK, run by the ExecuTorch runtime on the CPU.

What the partitioner leaves outside runs in ExecuTorch's portable kernels, plain C++ loops.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime
from numpy.typing import NDArray

from export.panoptic.roi_align import separable_roi_align
from export.placement import Placement
from export.session import Outputs
from export.targets import ConversionInput
from export.targets.executorch.program import (
    METHOD,
    OUTPUTS,
    constant,
    program_placement,
    write_program,
)
from export.targets.executorch.xnnpack_passes import simplified_delegates
from lvt.errors import UserError

roi_align = separable_roi_align


def write(conversion: ConversionInput, path: Path) -> None:
    """See `Target.write`."""
    with simplified_delegates():
        write_program(conversion, XnnpackPartitioner(), path)


class ExecuTorchSession:
    """The ExecuTorch runtime.

    Its thread pool is one for the whole process: the session opened last decides; 0 threads are
    as many as there are cores.
    """

    def __init__(self, path: Path, *, threads: int = 0):
        _unsafe_reset_threadpool(threads or os.cpu_count() or 1)
        try:
            # The program reads its weights from this buffer as long as it lives.
            self._program = Runtime.get().load_program(path.read_bytes())
            method = self._program.load_method(METHOD)
            outputs = constant(self._program, OUTPUTS)
        except (RuntimeError, ValueError) as error:
            raise UserError(f"ExecuTorch cannot load {path.name}: {error}") from error
        if method is None or outputs is None:
            raise UserError(f"{path.name} is not an ExecuTorch file that lvt-export wrote")
        self._method = method
        self._names: list[str] = json.loads(outputs)

    def run(self, image: NDArray[np.float32]) -> Outputs:
        # Copied: the next run writes into the same memory.
        values = self._method.execute([torch.from_numpy(np.ascontiguousarray(image))])
        return {n: v.numpy().copy() for n, v in zip(self._names, values, strict=True)}


def open_session(path: Path, *, threads: int = 0) -> ExecuTorchSession:
    """See `Target.open_session`."""
    return ExecuTorchSession(path, threads=threads)


def placement(path: Path) -> Placement:
    """See `Target.placement`."""
    return program_placement(path, "XNNPACK")


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: none, for a delegate's inner values cannot be read."""
    return {}


def versions(path: Path) -> dict[str, str]:
    """See `Target.versions`."""
    return {"torch": torch.__version__, "executorch": version("executorch")}


def runtime_name() -> str:
    """See `Target.runtime_name`."""
    return f"ExecuTorch {version('executorch')}, XNNPACK"
