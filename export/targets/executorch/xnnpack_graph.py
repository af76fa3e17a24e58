"""Reading and changing the nodes and values of ExecuTorch's `XNNGraph`.

A node holds one operation in `xnode_union`, whose fields that end in `_id` name the values that it
reads and computes. A value is a tensor, or a quantized tensor that wraps one.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import (
    PerTensorQuant,
    XNNGraph,
    XNNQuantizedTensorValue,
    XNNTensorValue,
    XNode,
)
from executorch.backends.xnnpack.utils.xnnpack_constants import XNN_INVALID_VALUE_ID


def values_by_id(graph: XNNGraph) -> dict[int, Any]:
    """{id: value} of all values of a graph."""
    return {tensor_of(value.xvalue_union).id_out: value.xvalue_union for value in graph.xvalues}


def tensor_of(value: Any) -> XNNTensorValue:
    """The tensor of a value, quantized or not."""
    return value.tensor_value if isinstance(value, XNNQuantizedTensorValue) else value


def is_external(value: Any) -> bool:
    """Whether the value is an input or an output of the graph."""
    return bool(tensor_of(value).external_id != XNN_INVALID_VALUE_ID)


def quantization_of(value: Any) -> PerTensorQuant | None:
    """Scale and zero point of an int8 activation; None for any other value."""
    if not isinstance(value, XNNQuantizedTensorValue):
        return None
    return value.quant_params if isinstance(value.quant_params, PerTensorQuant) else None


def input_ids(node: XNode) -> list[int]:
    """The values that a node reads."""
    return [getattr(node.xnode_union, name) for name in _id_fields(node, outputs=False)]


def output_ids(node: XNode) -> list[int]:
    """The values that a node computes."""
    return [getattr(node.xnode_union, name) for name in _id_fields(node, outputs=True)]


def with_inputs_replaced(node: XNode, replacements: dict[int, int]) -> XNode:
    """A copy of the node that reads `replacements[id]` in place of each replaced value."""
    operation = node.xnode_union
    inputs = {name: getattr(operation, name) for name in _id_fields(node, outputs=False)}
    inputs = {name: replacements.get(value, value) for name, value in inputs.items()}
    return replace(node, xnode_union=replace(operation, **inputs))


def input_producer(
    node: XNode, producers: dict[int, XNode], kinds: type[Any] | tuple[type[Any], ...]
) -> XNode | None:
    """The node that computes the only input of `node`.

    Args:
        node: any node.
        producers: {value: the node that computes it}.
        kinds: operations with one input.

    Returns:
        None if the operation of `node` is not one of `kinds`, or its input comes from no node.
    """
    if not isinstance(node.xnode_union, kinds):
        return None
    return producers.get(node.xnode_union.input_id)


def _id_fields(node: XNode, *, outputs: bool) -> list[str]:
    names = [field.name for field in fields(node.xnode_union) if field.name.endswith("_id")]
    return [name for name in names if name.startswith("output") == outputs]
