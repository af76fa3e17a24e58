"""Passes over the graph of an XNNPACK delegate, which ExecuTorch leaves with redundant operators.

ExecuTorch transposes the result of each convolution for every reader that is not on its list of
channels-last operators, even if that reader transposes it back. It computes some data-movement
operators in float, between a conversion from int8 and one back to int8. And it converts a value
once for each of its readers. XNNPACK runs such a graph as it is.

Each pass changes a graph in place; `PASSES` lists them in order. All leave the values of the
graph's outputs as they are, except that a resize which moves to int8 rounds as XNNPACK's int8
resize does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import (
    XNNConvert,
    XNNCopy,
    XNNGraph,
    XNNStaticConstantPad,
    XNNStaticReshape,
    XNNStaticResizeBilinear2D,
    XNNStaticSlice,
    XNNStaticTranspose,
    XNode,
)
from executorch.backends.xnnpack.utils.xnnpack_constants import XNN_INVALID_VALUE_ID

from export.targets.executorch.xnnpack_graph import (
    input_ids,
    input_producer,
    is_external,
    output_ids,
    quantization_of,
    tensor_of,
    values_by_id,
    with_inputs_replaced,
)

INT8_DATA_MOVEMENT_OPS = (
    XNNCopy,
    XNNStaticConstantPad,
    XNNStaticReshape,
    XNNStaticResizeBilinear2D,
    XNNStaticSlice,
    XNNStaticTranspose,
)
"""Operators of one input that XNNPACK has in int8, for equal scales of input and output.

The padding value stays a float, which XNNPACK quantizes when it creates the operator.
"""


def fuse_transposes_and_slices(graph: XNNGraph) -> None:
    """Makes one transpose of two in a row, and one slice of two; removes identity transposes.

    The first of two stays for its other readers; `remove_unused` removes it if there are none. An
    identity transpose that computes an output of the graph stays.
    """
    values = values_by_id(graph)
    producers: dict[int, XNode] = {}
    replacements: dict[int, int] = {}
    nodes = []
    for original in graph.xnodes:
        node = _fused_with_producer(with_inputs_replaced(original, replacements), producers)
        operation = node.xnode_union
        if _is_identity_transpose(node) and not is_external(values[operation.output_id]):
            replacements[operation.output_id] = operation.input_id
            continue
        producers.update(dict.fromkeys(output_ids(node), node))
        nodes.append(node)
    graph.xnodes = nodes


def _is_identity_transpose(node: XNode) -> bool:
    operation = node.xnode_union
    return isinstance(operation, XNNStaticTranspose) and operation.perm == sorted(operation.perm)


def _fused_with_producer(node: XNode, producers: dict[int, XNode]) -> XNode:
    """A transpose of a transpose, or a slice of a slice, as one; any other node as it is."""
    producer = input_producer(node, producers, (XNNStaticTranspose, XNNStaticSlice))
    if producer is None or type(producer.xnode_union) is not type(node.xnode_union):
        return node
    first, second = producer.xnode_union, node.xnode_union
    if isinstance(second, XNNStaticTranspose):
        perm = [first.perm[axis] for axis in second.perm]
        fused = replace(second, input_id=first.input_id, perm=perm)
    else:
        pairs = zip(first.offsets, second.offsets, strict=True)
        offsets = [sum(pair) for pair in pairs]
        fused = replace(second, input_id=first.input_id, offsets=offsets)
    return replace(node, xnode_union=fused)


def keep_data_movement_in_int8(graph: XNNGraph) -> None:
    """Makes one int8 data movement of: int8 to float, data movement in float, float to int8.

    Only if both int8 values have the same scale and zero point.
    """
    values = values_by_id(graph)
    producers: dict[int, XNode] = {}
    nodes = []
    for original in graph.xnodes:
        node = _in_int8(original, producers, values)
        producers.update(dict.fromkeys(output_ids(node), node))
        nodes.append(node)
    graph.xnodes = nodes


def _in_int8(node: XNode, producers: dict[int, XNode], values: dict[int, object]) -> XNode:
    """The int8 data movement that replaces a conversion to int8; any other node as it is."""
    movement = input_producer(node, producers, XNNConvert)
    if movement is None:
        return node
    to_float = input_producer(movement, producers, INT8_DATA_MOVEMENT_OPS)
    if to_float is None or not isinstance(to_float.xnode_union, XNNConvert):
        return node
    source, result = to_float.xnode_union.input_id, node.xnode_union.output_id
    quantization = quantization_of(values[source])
    if quantization is None or quantization != quantization_of(values[result]):
        return node
    operation = replace(movement.xnode_union, input_id=source, output_id=result)
    return replace(movement, xnode_union=operation)


def eliminate_common_subexpressions(graph: XNNGraph) -> None:
    """Computes a value once that several nodes compute in the same way from the same inputs.

    A node that computes an output of the graph stays.
    """
    values = values_by_id(graph)
    first_outputs: dict[object, int] = {}  # by everything that defines a node except its output
    replacements: dict[int, int] = {}
    nodes = []
    for original in graph.xnodes:
        node = with_inputs_replaced(original, replacements)
        outputs = output_ids(node)
        if len(outputs) == 1:
            (output,) = outputs
            first = first_outputs.setdefault(_definition(node, values[output]), output)
            if first != output and not is_external(values[output]):
                replacements[output] = first
                continue
        nodes.append(node)
    graph.xnodes = nodes


def _definition(node: XNode, output: object) -> tuple[str, ...]:
    """Equal for two nodes if they compute the same, whatever their outputs are called."""
    operation = replace(node.xnode_union, output_id=XNN_INVALID_VALUE_ID)
    datatype, quantization = tensor_of(output).datatype, quantization_of(output)
    return str(operation), str(node.output_min_max), str(datatype), str(quantization)


def remove_unused(graph: XNNGraph) -> None:
    """Removes nodes that no output of the graph depends on, then values that no node uses."""
    values = values_by_id(graph)
    needed = {number for number, value in values.items() if is_external(value)}
    nodes = []
    for node in reversed(graph.xnodes):
        if needed.intersection(output_ids(node)):
            needed.update(input_ids(node))
            nodes.append(node)
    graph.xnodes = nodes[::-1]
    used = {number for node in graph.xnodes for number in (*input_ids(node), *output_ids(node))}
    graph.xvalues = [
        value
        for value in graph.xvalues
        if tensor_of(value.xvalue_union).id_out in used or is_external(value.xvalue_union)
    ]


PASSES: tuple[Callable[[XNNGraph], None], ...] = (
    fuse_transposes_and_slices,
    keep_data_movement_in_int8,
    fuse_transposes_and_slices,  # of those that are in int8 only now
    eliminate_common_subexpressions,
    remove_unused,
)
"""In this order: fused transposes leave more data movement between two conversions, and nodes are
compared in their final form."""


def run_passes(graph: XNNGraph) -> None:
    """Runs `PASSES` over the graph of one delegate, in place."""
    for graph_pass in PASSES:
        graph_pass(graph)
