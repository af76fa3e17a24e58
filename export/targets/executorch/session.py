"""The ExecuTorch runtime behind the session protocol."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime
from numpy.typing import NDArray

from export.session import Outputs
from export.targets.executorch.program import METHOD, outputs_constant, text_constant
from lvt.errors import UserError


class ExecuTorchSession:
    """The ExecuTorch runtime on the CPU.

    All sessions of a process share one thread pool. Its size is that of the session that was opened
    while no other existed.

    Args:
        path: a .pte file that lvt-export wrote.
        threads: 0 for one thread per core.

    Raises:
        UserError: the runtime refuses the file, or lvt-export did not write it.
    """

    def __init__(self, path: Path, *, threads: int = 0):
        self._method = _Method(_load(path, threads), METHOD, path.name)

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`."""
        # Copied, because the next run overwrites the runtime's memory.
        return {name: value.copy() for name, value in self._method.execute([image]).items()}


class ExecuTorchEntryPoints:
    """The ExecuTorch runtime on the CPU for a file in parts, with a method for each entry point.

    Args:
        path: a .pte file that lvt-export wrote.
        threads: see `ExecuTorchSession`.

    Raises:
        UserError: the runtime refuses the file, or lvt-export did not write it.
    """

    def __init__(self, path: Path, *, threads: int = 0):
        program = _load(path, threads)
        names = [name for name in program.method_names if not name.startswith("lvt_")]
        self._methods = {name: _Method(program, name, path.name) for name in names}

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        """See `export.session.EntryPointSession.call`."""
        return self._methods[name].execute(list(inputs.values()))


_loaded: weakref.WeakSet[_Method] = weakref.WeakSet()
"""Methods that may still run."""

_pool_size: int | None = None


def _size_thread_pool(threads: int) -> None:
    """Sets the size of the pool, unless a loaded method has a pointer to the pool of before.

    Its next run would then wait for threads that are gone, forever.
    """
    global _pool_size
    if threads != _pool_size and not _loaded:
        _unsafe_reset_threadpool(threads)
        _pool_size = threads


class _Method:
    """A loaded method with the names of its outputs.

    Raises:
        UserError: the runtime refuses the method, or lvt-export did not write the file.
    """

    def __init__(self, program: Any, name: str, file_name: str):
        self._program = program  # holds the weights
        try:
            method = program.load_method(name)
            outputs = text_constant(program, outputs_constant(name))
        except (RuntimeError, ValueError) as error:
            raise UserError(f"ExecuTorch cannot load {file_name}: {error}") from error
        if method is None or outputs is None:
            raise UserError(f"{file_name} is not an ExecuTorch file that lvt-export wrote")
        self._method = method
        _loaded.add(self)
        self._names: list[str] = json.loads(outputs)

    def execute(self, inputs: list[NDArray[np.float32]]) -> Outputs:
        """One call; inputs in the order of the method. The next call overwrites the outputs."""
        values = self._method.execute([torch.from_numpy(np.ascontiguousarray(x)) for x in inputs])
        return {name: value.numpy() for name, value in zip(self._names, values, strict=True)}


def _load(path: Path, threads: int) -> Any:
    """The program of a file.

    Raises:
        UserError: the runtime refuses the file.
    """
    _size_thread_pool(threads or os.cpu_count() or 1)
    try:
        # The program reads its weights from the file's bytes as long as it exists.
        return Runtime.get().load_program(path.read_bytes())
    except (RuntimeError, ValueError) as error:
        raise UserError(f"ExecuTorch cannot load {path.name}: {error}") from error
