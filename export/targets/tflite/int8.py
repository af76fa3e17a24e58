"""What the converter needs to take a model with int8 operators, and what it leaves to be done."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed  # registers the operators
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor, fx, nn
from torch.fx import traceback

from export.targets.tflite import flatbuffer

levels = torch.ops.quantized_decomposed
"""Operators of int8 values: a level each, which a scale makes a number of."""


class Replayed(nn.Module):
    """A graph module computed node by node, so that exporting it again keeps what nodes are called.

    Its own code computes the same, but hides which module each operator came from.
    """

    def __init__(self, module: fx.GraphModule):
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> Any:
        with traceback.preserve_node_meta():
            return fx.Interpreter(self.module).run(image)


def convertible(module: fx.GraphModule) -> nn.Module:
    """The same model as the converter takes it.

    It makes int8 constants itself, of float ones that are quantized on the way, and refuses those
    that are int8 already. So weights become the product of their levels and scales, of which the
    very same levels come again. And each operator names its module where the converter looks.

    Args:
        module: int8 weights go through `dequantize_per_channel` from attributes of the module.
    """
    module = copy.deepcopy(module)
    weights = module.graph.find_nodes(
        op="call_function", target=levels.dequantize_per_channel.default
    )
    # Several operators may share one weight.
    for stored, scales, _zeros, axis, *_ in {
        node.args[0].target: node.args for node in weights
    }.values():
        setattr(module, stored.target, _product(module, stored, scales, axis))
    for node in weights:
        with module.graph.inserting_before(node):
            quantized = module.graph.call_function(levels.quantize_per_channel.default, node.args)
        node.update_arg(0, quantized)
    module.recompile()
    _name_by_module(module)
    return Replayed(module)


def _product(module: fx.GraphModule, stored: fx.Node, scales: fx.Node, axis: int) -> Tensor:
    values = module.get_buffer(str(stored.target))
    shape = [1] * values.ndim
    shape[axis] = -1
    return values * module.get_buffer(str(scales.target)).view(shape)


def _name_by_module(module: fx.GraphModule) -> None:
    """Leaves the dotted name of its module, and nothing else, as the stack of calls of each node.

    That is what the converter names values after. Operators that quantize belong to the module
    whose result they round, those that dequantize to the one that they do it for.
    """
    names: dict[fx.Node, str] = {}
    for node in module.graph.nodes:
        stack = node.meta.get("nn_module_stack")
        if stack:
            names[node] = list(stack.values())[-1][0]
        elif node.target == levels.quantize_per_tensor.default:
            names[node] = names.get(node.args[0], "")
    for node in reversed(module.graph.nodes):
        if node.op == "call_function" and node not in names:
            names[node] = next((names[user] for user in node.users if user in names), "")
        node.meta["nn_module_stack"] = {"": ("", names.get(node, ""))}


def static_quantization() -> Any:
    """Tells the converter to take quantized operators as they stand in the graph.

    It is meant to come with a quantizer that has put them there; the converter looks at nothing but
    whether that is a static one.
    """
    from litert_torch.quantize import pt2e_quantizer
    from litert_torch.quantize.quant_config import QuantConfig

    static = pt2e_quantizer.get_symmetric_quantization_config(is_dynamic=False)
    return QuantConfig(pt2e_quantizer=pt2e_quantizer.PT2EQuantizer().set_global(static))


def float_ends(model: Any) -> None:
    """Makes the inputs and outputs of a file float32, where the converter has made them int8.

    Args:
        model: a `ModelT` of one graph.
    """
    (graph,) = model.subgraphs
    inputs = {int(index): _float_twin(model, graph, int(index)) for index in graph.inputs}
    outputs = {int(index): _float_twin(model, graph, int(index)) for index in graph.outputs}
    quantize = [
        flatbuffer.new_operator(model, "QUANTIZE", 1, twin, index)
        for index, twin in inputs.items()
        if twin != index
    ]
    dequantize = [
        flatbuffer.new_operator(model, "DEQUANTIZE", 2, index, twin)
        for index, twin in outputs.items()
        if twin != index
    ]
    graph.operators = [*quantize, *graph.operators, *dequantize]
    graph.inputs = _through(inputs, graph.inputs)
    graph.outputs = _through(outputs, graph.outputs)
    for signature in model.signatureDefs or []:
        for entry in signature.inputs:
            entry.tensorIndex = inputs[entry.tensorIndex]
        for entry in signature.outputs:
            entry.tensorIndex = outputs[entry.tensorIndex]


def _through(twins: dict[int, int], indices: Sequence[int]) -> Any:
    return np.array([twins[int(index)] for index in indices], np.int32)


def _float_twin(model: Any, graph: Any, index: int) -> int:
    """A float32 tensor beside an int8 one, which keeps its name; the tensor itself if it is float.

    Returns:
        Its index.
    """
    tensor = graph.tensors[index]
    if tensor.type != schema.TensorType.INT8:
        return index
    twin = copy.copy(tensor)
    twin.type = schema.TensorType.FLOAT32
    twin.quantization = None
    twin.buffer = 0  # none
    tensor.name = tensor.name + b"_int8"
    graph.tensors.append(twin)
    return len(graph.tensors) - 1
