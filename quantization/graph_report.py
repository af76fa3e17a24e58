"""Counts what is int8 in a planned model, for the manifest and the summary table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import fx

from quantization.graph import CALLS, aten, constant, has_weight, shape
from quantization.plan import QuantizationPlan


@dataclass(frozen=True)
class GraphReport:
    """Figures of a planned model.

    Attributes:
        int8_mac_share: share of the multiply-accumulates that are computed on integers, 0 to 1.
        quantize_count: float maps that become int8 for a reader.
        dequantize_count: int8 maps that a float operator reads.
        wide_share: share of the activations (numbers, not maps) that have 16 bits.
        float_reasons: layer to the reason why it stays float.
    """

    int8_mac_share: float
    quantize_count: int
    dequantize_count: int
    wide_share: float
    float_reasons: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The entries of the manifest."""
        return {
            "int8_share_of_macs": round(self.int8_mac_share, 4),
            "float_to_int8": self.quantize_count,
            "int8_to_float": self.dequantize_count,
            "share_of_16_bit_values": round(self.wide_share, 4),
            "float_layers": dict(self.float_reasons),
        }


def graph_report(module: fx.GraphModule, plan: QuantizationPlan) -> GraphReport:
    """The figures of a traced float model and a plan."""
    total_macs = int8_macs = 0
    quantize_count = dequantize_count = 0
    for node in module.graph.nodes:
        macs = _macs(module, node) * node.meta.get(CALLS, 1)
        is_int8 = node in plan.integer_nodes
        total_macs += macs
        int8_macs += macs if is_int8 else 0
        int8_readers = [user in plan.integer_nodes for user in node.users if _is_operator(user)]
        quantize_count += not is_int8 and any(int8_readers)
        dequantize_count += is_int8 and not all(int8_readers)
    share = int8_macs / max(1, total_macs)
    return GraphReport(
        share, quantize_count, dequantize_count, _wide_share(plan), plan.float_reasons
    )


def _wide_share(plan: QuantizationPlan) -> float:
    sizes = {node: prod(shape(node)) * node.meta.get(CALLS, 1) for node in plan.integer_nodes}
    wide = sum(size for node, size in sizes.items() if plan.bits[node] == 16)
    return wide / max(1, sum(sizes.values()))


def _is_operator(node: fx.Node) -> bool:
    return node.op == "call_function"


def _macs(module: fx.GraphModule, node: fx.Node) -> int:
    """Multiply-accumulates of a layer or of an attention product; 0 for other nodes."""
    if node.target is aten.einsum.default:
        return prod(shape(node)) * _contracted_size(node)
    if node.target in (aten.bmm.default, aten.matmul.default):
        return prod(shape(node)) * _operand_shape(node)[-1]
    if not has_weight(node):
        return 0
    weight = constant(module, node.args[1])  # type: ignore[arg-type]
    if node.target is aten.conv2d.default:  # (out, in, kh, kw)
        return prod(shape(node)) * prod(weight.shape[1:])
    if node.target is aten.conv_transpose2d.input:  # (in, out, kh, kw)
        return prod(_operand_shape(node)) * prod(weight.shape[1:])
    return prod(shape(node)) * _operand_shape(node)[-1]


def _operand_shape(node: fx.Node) -> tuple[int, ...]:
    operand = node.args[0]
    assert isinstance(operand, fx.Node)
    return shape(operand)


def _contracted_size(node: fx.Node) -> int:
    """Product of the axes that an einsum sums over."""
    equation, operands = node.args
    terms, result = str(equation).split("->")
    sizes: dict[str, int] = {}
    for term, operand in zip(terms.split(","), operands, strict=True):  # type: ignore[arg-type]
        sizes.update(zip(term, shape(operand), strict=True))
    return prod(size for letter, size in sizes.items() if letter not in result)
