"""What both kinds of ExecuTorch files share: constants, reading programs, short operator names."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from executorch.exir import EdgeProgramManager, to_edge_transform_and_lower
from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.lowered_backend_module import LoweredBackendModule
from executorch.exir.schema import DelegateCall, KernelCall, Program
from executorch.runtime import Runtime

from export.placement import Placement
from export.targets import ConversionInput
from lvt.errors import UserError

METHOD = "forward"
OUTPUTS = "lvt_outputs"
_DELEGATED = "lvt_delegated"
"""Constants of the file: its outputs' names, and what the delegates took; JSON."""


def write_program(conversion: ConversionInput, partitioner: Any, path: Path) -> None:
    """Lowers a model with a partitioner and writes it.

    Metadata become constant methods, with `_` for `.` in their names.
    """
    with torch.no_grad():
        program = torch.export.export(conversion.model, (torch.zeros(1, 3, *conversion.size),))
        constants = {name.replace(".", "_"): text for name, text in conversion.metadata.items()}
        constants[OUTPUTS] = json.dumps(conversion.spec.outputs)
        lowered = to_edge_transform_and_lower(program, partitioner=[partitioner])
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


def constant(program: Any, name: str) -> str | None:
    """A text that `write_program` put into the file; None if it has none of that name."""
    if name not in program.method_names:
        return None
    (text,) = program.load_method(name).execute([])
    return str(text)


def read_metadata(path: Path) -> dict[str, str]:
    """What `write_program` was given as metadata, under the names in the file."""
    program = Runtime.get().load_program(path.read_bytes())
    names = [name for name in program.method_names if name.startswith("lvt_")]
    return {name: constant(program, name) or "" for name in sorted(names)}


def program_placement(path: Path, accelerator: str) -> Placement:
    """Delegate calls and kernel calls, from the instructions of the written file."""
    plan = read_program(path).execution_plan[0]
    assert plan.name == METHOD
    instructions = [i.instr_args for chain in plan.chains for i in chain.instructions]
    partitions = sum(isinstance(call, DelegateCall) for call in instructions)
    outside = Counter(
        _short_name(plan.operators[call.op_index].name)
        for call in instructions
        if isinstance(call, KernelCall)
    )
    delegated = json.loads(read_metadata(path)[_DELEGATED])
    return Placement(accelerator, partitions, delegated, outside)


def planned_bytes(path: Path) -> int:
    """Memory that the file plans for values outside its delegates, which have their own.

    Raises:
        UserError: see `read_program`.
    """
    return sum(read_program(path).execution_plan[0].non_const_buffer_sizes)


def read_program(path: Path) -> Program:
    """The flatbuffer of a file.

    Raises:
        UserError: not an ExecuTorch file.
    """
    try:
        return deserialize_pte_binary(path.read_bytes()).program
    except Exception as error:  # whatever flatc and its JSON reader run into
        raise UserError(f"{path.name} is not an ExecuTorch file; export it again") from error
