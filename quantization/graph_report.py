"""What of a quantized program is int8, in figures and with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import fx

from quantization.graph import QuantizationPlan, aten, constant, is_layer, shape


@dataclass(frozen=True)
class GraphReport:
    """Figures of a program.

    Attributes:
        int8_macs: share of multiply-accumulates computed on integers, 0 to 1.
        quantize: how often a float map becomes an int8 one.
        dequantize: how often an int8 map is read as float by a float operator.
        floats: layer to the reason why it stays float.
    """

    int8_macs: float
    quantize: int
    dequantize: int
    floats: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """As it stands in manifests."""
        return {
            "int8_share_of_macs": round(self.int8_macs, 4),
            "float_to_int8": self.quantize,
            "int8_to_float": self.dequantize,
            "float_layers": dict(self.floats),
        }


def graph_report(module: fx.GraphModule, plan: QuantizationPlan) -> GraphReport:
    """Figures of a traced float model under a plan."""
    total = int8 = 0
    into = out_of = 0
    for node in module.graph.nodes:
        macs = _macs(module, node)
        total += macs
        if node in plan.nodes:
            int8 += macs
        held = node in plan.nodes
        readers = [user in plan.nodes for user in node.users if user.op == "call_function"]
        into += not held and any(readers)
        out_of += held and not all(readers)
    return GraphReport(int8 / max(1, total), into, out_of, plan.floats)


def _macs(module: fx.GraphModule, node: fx.Node) -> int:
    """Multiply-accumulates of layers and of the products of attention."""
    if is_layer(node):
        per_output = constant(module, node.args[1]).shape  # type: ignore[arg-type]
        if node.target is aten.conv2d.default:
            return prod(shape(node)) * prod(per_output[1:])
        if node.target is aten.conv_transpose2d.input:
            return prod(shape(node.args[0])) * prod(per_output[1:])  # type: ignore[arg-type]
        inner = shape(node.args[0])[-1]  # type: ignore[arg-type]
        return prod(shape(node)) * inner
    if node.target in (aten.bmm.default, aten.matmul.default):
        return prod(shape(node)) * shape(node.args[0])[-1]  # type: ignore[arg-type]
    if node.target is aten.einsum.default:
        return prod(shape(node)) * _contracted(node)
    return 0


def _contracted(node: fx.Node) -> int:
    """Length of the axes that an einsum sums over."""
    equation, operands = node.args
    terms, result = str(equation).split("->")
    sizes: dict[str, int] = {}
    for term, operand in zip(terms.split(","), operands, strict=True):  # type: ignore[arg-type]
        sizes.update(zip(term, shape(operand), strict=True))
    return prod(size for letter, size in sizes.items() if letter not in result)
