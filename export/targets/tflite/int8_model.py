"""Models with int8 operators in the form that litert-torch converts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators
from torch import Tensor, fx, nn
from torch.fx import traceback

quantized_ops = torch.ops.quantized_decomposed


class InterpretedModule(nn.Module):
    """A graph module that runs node by node, so that another export keeps the nodes' metadata.

    The code of the graph module itself would lose the module that each operator came from.
    """

    def __init__(self, module: fx.GraphModule):
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:
        with traceback.preserve_node_meta():
            return fx.Interpreter(self.module).run(*inputs)


def convertible(module: fx.GraphModule) -> nn.Module:
    """A copy of the model that the converter accepts.

    The converter refuses int8 constants; it makes them from float constants that are quantized in
    the graph. So each weight becomes the product of its int8 values and its scales, followed by a
    quantization that gives the same int8 values. And each operator gets the name of its module
    where the converter reads names.

    Args:
        module: its int8 weights are buffers that go through `dequantize_per_channel`.
    """
    module = copy.deepcopy(module)
    for node in _make_weights_float(module):
        with module.graph.inserting_before(node):
            quantized = module.graph.call_function(
                quantized_ops.quantize_per_channel.default, node.args
            )
        node.update_arg(0, quantized)
    module.recompile()
    _name_by_module(module)
    return InterpretedModule(module)


def with_float_weights(module: fx.GraphModule) -> nn.Module:
    """A copy of the model for `integers.make_integers`, which quantizes the weights again.

    Args:
        module: as for `convertible`; its other integer constants go through
            `dequantize_per_tensor`.
    """
    module = copy.deepcopy(module)
    for node in _make_weights_float(module):
        stored = node.args[0]
        assert isinstance(stored, fx.Node)
        node.replace_all_uses_with(stored)
        module.graph.erase_node(node)
    _quantize_constants(module)
    module.recompile()
    _name_by_module(module)
    return InterpretedModule(module)


def _make_weights_float(module: fx.GraphModule) -> Sequence[fx.Node]:
    """Makes floats of the stored int8 weights; the nodes that dequantize them stay, and return."""
    weights = module.graph.find_nodes(
        op="call_function", target=quantized_ops.dequantize_per_channel.default
    )
    # Several operators may share one weight.
    for stored, scales, _zeros, axis, *_ in {
        node.args[0].target: node.args for node in weights
    }.values():
        setattr(module, stored.target, _dequantized(module, stored, scales, axis))
    return weights


def _quantize_constants(module: fx.GraphModule) -> None:
    """Makes float constants of the integer ones with one scale, and quantizes them in the graph."""
    floats: dict[str, Tensor] = {}
    for node in module.graph.find_nodes(
        op="call_function", target=quantized_ops.dequantize_per_tensor.default
    ):
        stored, scale, zero_point, *_ = node.args
        if stored.op != "get_attr":
            continue
        if stored.target not in floats:
            values = module.get_buffer(stored.target).float()
            floats[stored.target] = (values - zero_point) * scale
        with module.graph.inserting_before(node):
            quantized = module.graph.call_function(
                quantized_ops.quantize_per_tensor.default, node.args
            )
        node.update_arg(0, quantized)
    for name, values in floats.items():
        setattr(module, name, values)


def _dequantized(module: fx.GraphModule, stored: fx.Node, scales: fx.Node, axis: int) -> Tensor:
    """The float32 values of an int8 weight with scales along `axis`."""
    values = module.get_buffer(str(stored.target))
    shape = [1] * values.ndim
    shape[axis] = -1
    return values * module.get_buffer(str(scales.target)).view(shape)


def _name_by_module(module: fx.GraphModule) -> None:
    """Reduces the module stack of each node to the dotted name of its module.

    The converter names values after this stack. An operator that quantizes belongs to the module
    whose result it quantizes; one that dequantizes, to the module that reads it.
    """
    names: dict[fx.Node, str] = {}
    for node in module.graph.nodes:
        stack = node.meta.get("nn_module_stack")
        if stack:
            names[node] = list(stack.values())[-1][0]
        elif node.target == quantized_ops.quantize_per_tensor.default:
            names[node] = names.get(node.args[0], "")
    for node in reversed(module.graph.nodes):
        if node.op == "call_function" and node not in names:
            names[node] = next((names[user] for user in node.users if user in names), "")
        node.meta["nn_module_stack"] = {"": ("", names.get(node, ""))}


def static_quantization() -> Any:
    """A configuration with which the converter keeps the quantized operators of the graph.

    It holds a quantizer, of which the converter reads only whether it is a static one.
    """
    from litert_torch.quantize import pt2e_quantizer
    from litert_torch.quantize.quant_config import QuantConfig

    static = pt2e_quantizer.get_symmetric_quantization_config(is_dynamic=False)
    return QuantConfig(pt2e_quantizer=pt2e_quantizer.PT2EQuantizer().set_global(static))
