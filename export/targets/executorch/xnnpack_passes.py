"""What ExecuTorch leaves to be done in the graph that an XNNPACK delegate is made from.

Its own passes put a change of layout behind each convolution for any reader that they do not know
to take channels last, also where that reader changes it back. Some operators they leave in float
between conversions from int8 and back, though these only move values. And each reader of a value
gets a conversion of its own. XNNPACK runs such a graph as it stands.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from executorch.backends.xnnpack import xnnpack_preprocess
from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import (
    PerTensorQuant,
    XNNConvert,
    XNNCopy,
    XNNGraph,
    XNNQuantizedTensorValue,
    XNNStaticConstantPad,
    XNNStaticReshape,
    XNNStaticResizeBilinear2D,
    XNNStaticSlice,
    XNNStaticTranspose,
    XNNTensorValue,
    XNode,
)
from executorch.backends.xnnpack.utils.xnnpack_constants import XNN_INVALID_VALUE_ID

_MOVES = (
    XNNCopy,
    XNNStaticConstantPad,
    XNNStaticReshape,
    XNNStaticResizeBilinear2D,
    XNNStaticSlice,
    XNNStaticTranspose,
)
"""Operators of one input that have int8 forms, if both have one scale.

A padding's value is a float all the same, and rounded when the graph is made.
"""


@contextlib.contextmanager
def simplified_delegates() -> Iterator[None]:
    """While it is open, graphs are simplified before ExecuTorch writes them into a delegate."""
    write = xnnpack_preprocess.serialize_xnnpack_binary

    def simplify_and_write(graph: XNNGraph, constants: bytearray) -> bytes:
        simplify(graph)
        return write(graph, constants)

    xnnpack_preprocess.serialize_xnnpack_binary = simplify_and_write
    try:
        yield
    finally:
        xnnpack_preprocess.serialize_xnnpack_binary = write


def simplify(graph: XNNGraph) -> None:
    """Takes out what is done twice, or done and undone. The graph computes the same.

    Resizes that stood between conversions from int8 and back round as XNNPACK's int8 ones do.
    """
    nodes = _Simplifier(graph).nodes()
    graph.xnodes = _needed(graph, nodes)
    used = {value for node in graph.xnodes for value in (*_inputs(node), *_outputs(node))}
    graph.xvalues = [
        value
        for value in graph.xvalues
        if _tensor(value.xvalue_union).id_out in used or _external(value.xvalue_union)
    ]


class _Simplifier:
    """One walk along a graph, in which each node is put in its simplest form."""

    def __init__(self, graph: XNNGraph):
        self.graph = graph
        self.values = {
            _tensor(value.xvalue_union).id_out: value.xvalue_union for value in graph.xvalues
        }
        self.makers: dict[int, XNode] = {}
        self.same: dict[int, int] = {}  # a value to the one that is used instead
        self.known: dict[object, int] = {}

    def nodes(self) -> list[XNode]:
        done = []
        for node in self.graph.xnodes:
            node = _with_inputs(node, self.same)
            outputs = _outputs(node)
            if len(outputs) == 1:
                node = self.merged(self.on_integers(node))
                instead = self.instead(node)
                if instead is not None and not _external(self.values[outputs[0]]):
                    self.same[outputs[0]] = instead
                    continue
            for output in outputs:
                self.makers[output] = node
            done.append(node)
        return done

    def on_integers(self, node: XNode) -> XNode:
        """A move of int8 values, for the last of a conversion to float, the move and one back."""
        move = self.maker(node, XNNConvert)
        back = None if move is None else self.maker(move, _MOVES)
        if move is None or back is None or not isinstance(back.xnode_union, XNNConvert):
            return node
        source, result = back.xnode_union.input_id, node.xnode_union.output_id
        levels = _levels(self.values[source])
        if levels is None or levels != _levels(self.values[result]):
            return node
        return replace(
            move, xnode_union=replace(move.xnode_union, input_id=source, output_id=result)
        )

    def merged(self, node: XNode) -> XNode:
        """One transpose or slice for two of them."""
        first = self.maker(node, (XNNStaticTranspose, XNNStaticSlice))
        if first is None or type(first.xnode_union) is not type(node.xnode_union):
            return node
        before, after = first.xnode_union, node.xnode_union
        changed: dict[str, Any]
        if isinstance(after, XNNStaticTranspose):
            changed = {"perm": [before.perm[axis] for axis in after.perm]}
        else:
            pairs = zip(before.offsets, after.offsets, strict=True)
            changed = {"offsets": [sum(pair) for pair in pairs]}
        return replace(node, xnode_union=replace(after, input_id=before.input_id, **changed))

    def instead(self, node: XNode) -> int | None:
        """An earlier value that is the same as a node's; None if there is none yet."""
        operation = node.xnode_union
        if isinstance(operation, XNNStaticTranspose) and operation.perm == sorted(operation.perm):
            return int(operation.input_id)
        (output,) = _outputs(node)
        anonymous = replace(operation, output_id=XNN_INVALID_VALUE_ID)
        kind = self.values[output]
        # What a value is without what it is called.
        own = (str(anonymous), str(node.output_min_max), _tensor(kind).datatype, str(_levels(kind)))
        found = self.known.setdefault(own, output)
        return None if found == output else found

    def maker(self, node: XNode, kind: type[Any] | tuple[type[Any], ...]) -> XNode | None:
        """What computes the only input of a node, if the node is of a kind."""
        if not isinstance(node.xnode_union, kind):
            return None
        return self.makers.get(node.xnode_union.input_id)


def _tensor(value: Any) -> XNNTensorValue:
    return value.tensor_value if isinstance(value, XNNQuantizedTensorValue) else value


def _external(value: Any) -> bool:
    return bool(_tensor(value).external_id != XNN_INVALID_VALUE_ID)


def _levels(value: Any) -> PerTensorQuant | None:
    """Scale and zero point of an int8 map; None of anything else."""
    if not isinstance(value, XNNQuantizedTensorValue):
        return None
    return value.quant_params if isinstance(value.quant_params, PerTensorQuant) else None


def _names(node: XNode, *, outputs: bool) -> list[str]:
    """The fields of an operation that hold values."""
    names = [field.name for field in fields(node.xnode_union) if field.name.endswith("_id")]
    return [name for name in names if name.startswith("output") == outputs]


def _inputs(node: XNode) -> list[int]:
    return [getattr(node.xnode_union, name) for name in _names(node, outputs=False)]


def _outputs(node: XNode) -> list[int]:
    return [getattr(node.xnode_union, name) for name in _names(node, outputs=True)]


def _with_inputs(node: XNode, same: dict[int, int]) -> XNode:
    operation = node.xnode_union
    renamed = {name: getattr(operation, name) for name in _names(node, outputs=False)}
    renamed = {name: same.get(value, value) for name, value in renamed.items()}
    return replace(node, xnode_union=replace(operation, **renamed))


def _needed(graph: XNNGraph, nodes: list[XNode]) -> list[XNode]:
    """Those that the graph's outputs depend on."""
    unions = (value.xvalue_union for value in graph.xvalues)
    wanted = {_tensor(union).id_out for union in unions if _external(union)}
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(_outputs(node)):
            wanted.update(_inputs(node))
            kept.append(node)
    return kept[::-1]
