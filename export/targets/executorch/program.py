"""Writing and reading .pte files, for any delegate."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from executorch.exir import EdgeProgramManager, to_edge_transform_and_lower
from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.lowered_backend_module import LoweredBackendModule
from executorch.exir.schema import ExecutionPlan, Program
from executorch.runtime import Runtime

from export.converter_speed import faster_conversion
from export.entry_point import MAIN
from export.targets import ConversionInput
from lvt.errors import UserError

METHOD = "forward"
"""The method of a file that holds the whole model."""

OUTPUTS = "lvt_outputs"
"""Constant of the file: names of the outputs, JSON; see `outputs_constant`."""

DELEGATED = "lvt_delegated"
"""Constant of the file: operators inside the delegates, counted by type, JSON."""


def method_name(entry_point: str) -> str:
    """The method of an entry point."""
    return METHOD if entry_point == MAIN else entry_point


def outputs_constant(method: str) -> str:
    """Name of the constant that holds the names of a method's outputs."""
    return OUTPUTS if method == METHOD else f"{OUTPUTS}_{method}"


@faster_conversion()
def write_program(conversion: ConversionInput, partitioner: Any, path: Path) -> None:
    """Lowers a model with a partitioner and writes it.

    Metadata become constant methods, with `_` for `.` in their names.
    """
    with torch.no_grad():
        methods = {method_name(entry.name): entry for entry in conversion.entry_points}
        programs = {
            method: torch.export.export(entry.module, entry.example_inputs())
            for method, entry in methods.items()
        }
        constants = {name.replace(".", "_"): text for name, text in conversion.metadata.items()}
        for method, entry in methods.items():
            constants[outputs_constant(method)] = json.dumps(entry.output_names)
        lowered = to_edge_transform_and_lower(
            programs, partitioner={method: [partitioner] for method in programs}
        )
        # The written delegates are opaque, so their operators are counted here.
        constants[DELEGATED] = json.dumps(_delegated_operators(lowered))
        lowered._config_methods = constants
        path.write_bytes(lowered.to_executorch().buffer)


def _delegated_operators(lowered: EdgeProgramManager) -> dict[str, int]:
    """Operators inside the delegates, counted by type."""
    count: Counter[str] = Counter()
    for method in sorted(lowered.methods):
        for module in lowered.exported_program(method).graph_module.children():
            if isinstance(module, LoweredBackendModule):
                graph = module.original_module.graph
                count.update(
                    short_operator_name(str(node.target.name()))
                    for node in graph.nodes
                    if node.op == "call_function" and hasattr(node.target, "name")
                )
    return dict(count)


def short_operator_name(operator: str) -> str:
    """`slice_copy` for `aten::slice_copy.Tensor` and for `aten.slice_copy.Tensor`."""
    return operator.split("::")[-1].removeprefix("aten.").split(".")[0]


def text_constant(program: Any, name: str) -> str | None:
    """A text constant of a loaded program, as `write_program` adds them; None if it has none."""
    if name not in program.method_names:
        return None
    (text,) = program.load_method(name).execute([])
    return str(text)


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata that `write_program` wrote, under their names in the file."""
    program = Runtime.get().load_program(path.read_bytes())
    names = [name for name in program.method_names if name.startswith("lvt_")]
    return {name: text_constant(program, name) or "" for name in sorted(names)}


def planned_bytes(path: Path) -> int:
    """Bytes that the runtime allocates for values outside the delegates.

    Raises:
        UserError: see `read_program`.
    """
    return sum(
        size for plan in methods_of(read_program(path)) for size in plan.non_const_buffer_sizes
    )


def methods_of(program: Program) -> list[ExecutionPlan]:
    """The methods that compute, without those that return metadata."""
    return [plan for plan in program.execution_plan if not plan.name.startswith("lvt_")]


def read_program(path: Path) -> Program:
    """The flatbuffer of a file.

    Raises:
        UserError: not an ExecuTorch file.
    """
    try:
        return deserialize_pte_binary(path.read_bytes()).program
    except Exception as error:  # flatc and its JSON reader have no common exception type
        raise UserError(f"{path.name} is not an ExecuTorch file; export it again") from error
