"""ExecuTorch: lowered to XNNPACK, run by the ExecuTorch runtime on the CPU.

What the partitioner leaves outside runs in ExecuTorch's portable kernels, plain C++ loops.
"""

from __future__ import annotations

import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import EdgeProgramManager, to_edge_transform_and_lower
from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.lowered_backend_module import LoweredBackendModule
from executorch.exir.schema import DelegateCall, KernelCall, Program
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime
from numpy.typing import NDArray

from export.panoptic.roi_align import separable_roi_align
from export.placement import Placement
from export.session import Outputs
from export.targets import Conversion
from lvt.errors import UserError

roi_align = separable_roi_align

METHOD = "forward"
_OUTPUTS = "lvt_outputs"
_DELEGATED = "lvt_delegated"
"""Constants of the file: its outputs' names, and what the delegates took; JSON."""


def write(conversion: Conversion, path: Path) -> None:
    """See `Target.write`. Metadata become constant methods, with `_` for `.` in their names."""
    with torch.no_grad():
        program = torch.export.export(conversion.model, (torch.zeros(1, 3, *conversion.size),))
        constants = {name.replace(".", "_"): text for name, text in conversion.metadata.items()}
        constants[_OUTPUTS] = json.dumps(conversion.spec.outputs)
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        # What a delegate took can no longer be read from its blob, so it is noted in the file.
        constants[_DELEGATED] = json.dumps(_delegated(lowered))
        lowered._config_methods = constants
        path.write_bytes(lowered.to_executorch().buffer)


def _delegated(lowered: EdgeProgramManager) -> dict[str, int]:
    """Operators inside the delegates, by type."""
    count: Counter[str] = Counter()
    for module in lowered.exported_program().graph_module.children():
        if isinstance(module, LoweredBackendModule):
            graph = module.original_module.graph
            count.update(
                _short_name(str(node.target.name()))
                for node in graph.nodes
                if node.op == "call_function" and hasattr(node.target, "name")
            )
    return dict(count)


def _short_name(operator: str) -> str:
    """`aten::slice_copy.Tensor` and `aten.slice_copy.Tensor` as `slice_copy`."""
    return operator.split("::")[-1].removeprefix("aten.").split(".")[0]


class ExecuTorchSession:
    """The ExecuTorch runtime.

    Its thread pool is one for the whole process: the session opened last decides.
    """

    def __init__(self, path: Path, *, threads: int = 0):
        if threads:
            _unsafe_reset_threadpool(threads)
        try:
            # The program reads its weights from this buffer as long as it lives.
            self._program = Runtime.get().load_program(path.read_bytes())
            method = self._program.load_method(METHOD)
            outputs = _constant(self._program, _OUTPUTS)
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


def _constant(program: object, name: str) -> str | None:
    """A text that `write` put into the file; None if it has none of that name."""
    if name not in program.method_names:  # type: ignore[attr-defined]
        return None
    (text,) = program.load_method(name).execute([])  # type: ignore[attr-defined]
    return str(text)


def open_session(path: Path, *, threads: int = 0) -> ExecuTorchSession:
    """See `Target.open_session`."""
    return ExecuTorchSession(path, threads=threads)


def read_metadata(path: Path) -> dict[str, str]:
    """What `write` was given as metadata, under the names in the file."""
    program = Runtime.get().load_program(path.read_bytes())
    names = [name for name in program.method_names if name.startswith("lvt_")]
    return {name: _constant(program, name) or "" for name in sorted(names)}


def placement(path: Path) -> Placement:
    """See `Target.placement`: read from the instructions of the written file."""
    program = _deserialise(path)
    (plan,) = (plan for plan in program.execution_plan if plan.name == METHOD)
    instructions = [i.instr_args for chain in plan.chains for i in chain.instructions]
    partitions = sum(isinstance(call, DelegateCall) for call in instructions)
    outside = Counter(
        _short_name(plan.operators[call.op_index].name)
        for call in instructions
        if isinstance(call, KernelCall)
    )
    delegated = json.loads(read_metadata(path)[_DELEGATED])
    return Placement("XNNPACK", partitions, delegated, outside)


def _deserialise(path: Path) -> Program:
    file = deserialize_pte_binary(path.read_bytes())
    return file.program


def module_outputs(path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
    """See `Target.module_outputs`: none, for a delegate's inner values cannot be read."""
    return {}


def versions() -> dict[str, str]:
    """See `Target.versions`."""
    return {"torch": torch.__version__, "executorch": version("executorch")}
