"""Models with int8 operators as coremltools takes them: exported, where others are traced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators
from torch import Tensor, nn

_QUANTIZE = torch.ops.quantized_decomposed.quantize_per_tensor.default
_RESTORE_WEIGHT = torch.ops.quantized_decomposed.dequantize_per_channel.default


def exported(model: nn.Module, image: Tensor) -> torch.export.ExportedProgram:
    """The model in the operators that coremltools knows.

    Args:
        model: holds a graph with int8 operators.
        image: of the shape it takes.
    """
    with torch.no_grad():
        program = torch.export.export(model, (image,)).run_decompositions({})
    # coremltools compares types of weights and zero points: converting those takes iOS 17.
    buffers = program.graph_signature.inputs_to_buffers
    for node in program.graph.find_nodes(op="call_function", target=_RESTORE_WEIGHT):
        name = buffers[node.args[2].name]
        program.state_dict[name] = program.state_dict[name].to(torch.int8)
    return program


def rounds_activations(program: torch.export.ExportedProgram) -> bool:
    """Whether more than weights is in int8."""
    return bool(program.graph.find_nodes(op="call_function", target=_QUANTIZE))


@contextlib.contextmanager
def unchecked_passes() -> Iterator[None]:
    """Keeps coremltools from checking the whole program again after each of its hundred passes.

    Quantized programs have thousands of operators, and these checks take half of the time. They
    look for mistakes in the passes alone; what is written is proven by computing it.
    """
    from coremltools.converters.mil.mil import Program

    validate = Program.validate
    Program.validate = lambda *_arguments, **_options: None
    try:
        yield
    finally:
        Program.validate = validate
