"""Models with int8 operators for coremltools: exported with torch.export, not traced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators
from torch import Tensor, nn

_QUANTIZE_ACTIVATION = torch.ops.quantized_decomposed.quantize_per_tensor.default
_DEQUANTIZE_WEIGHT = torch.ops.quantized_decomposed.dequantize_per_channel.default


def export_int8(model: nn.Module, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    """Exports a model with int8 operators in the operators that coremltools supports.

    Args:
        model: a module that holds a graph with int8 operators.
        inputs: tensors of the model's input shapes.
    """
    with torch.no_grad():
        program = torch.export.export(model, inputs).run_decompositions({})
    # coremltools needs zero points of the type of the weights; a cast of them would need iOS 17.
    buffers = program.graph_signature.inputs_to_buffers
    for node in program.graph.find_nodes(op="call_function", target=_DEQUANTIZE_WEIGHT):
        name = buffers[node.args[2].name]
        program.state_dict[name] = program.state_dict[name].to(torch.int8)
    return program


def has_int8_activations(program: torch.export.ExportedProgram) -> bool:
    """Whether a program has int8 activations besides int8 weights."""
    return bool(program.graph.find_nodes(op="call_function", target=_QUANTIZE_ACTIVATION))


@contextlib.contextmanager
def skip_program_validation() -> Iterator[None]:
    """Makes coremltools skip the validation of the whole program after each of its passes.

    For quantized programs with thousands of operators, validation takes half of the conversion
    time. It finds only mistakes of the passes, and the written file is evaluated afterwards.
    """
    from coremltools.converters.mil.mil import Program

    validate = Program.validate
    Program.validate = lambda *_arguments, **_options: None
    try:
        yield
    finally:
        Program.validate = validate
