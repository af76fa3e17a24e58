"""Decides which values of a traced model become int8, and records why the others do not.

A node is *int8* if the runtime computes it on int8 values. Operators that keep the range of their
inputs are int8 wherever a neighbour is, and share its scale. So nothing turns back to float
between two int8 operators without need. `insert_qdq` applies the plan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import fx

from quantization.backend_config import BackendConfig
from quantization.graph import (
    ARITHMETIC_OPS,
    SAME_SCALE_OPS,
    WEIGHTED_OPS,
    aten,
    block_name,
    box_dependent_nodes,
    float_inputs,
    has_weight,
    in_norm,
    is_float,
    is_norm_mean,
    is_output_head,
    module_path,
    shape,
)

FLOAT_REASON = "lvt_float_reason"
"""Key of a node's meta: a graph pass stores there why the node must stay float."""

OUTPUT_HEAD = "output head: one scale cannot hold channels of different range"
"""Reason why the last layers before the arithmetic of boxes stay float."""


@dataclass(frozen=True)
class QuantizationPlan:
    """Which values of one graph are int8.

    Attributes:
        int8_nodes: nodes that are computed on int8 values.
        scale_groups: every int8 value to the representative of the group that shares its scale;
            the inputs of int8 nodes are among them.
        float_reasons: layer to the reason why it stays float.
    """

    int8_nodes: frozenset[fx.Node]
    scale_groups: Mapping[fx.Node, fx.Node]
    float_reasons: Mapping[str, str]


@dataclass(frozen=True)
class Decision:
    """Whether one operator is int8.

    Attributes:
        int8: whether it is.
        reason: why not; None if it is, or if its float form needs no explanation.
    """

    int8: bool
    reason: str | None = None


_INT8 = Decision(int8=True)
_FLOAT = Decision(int8=False)


def _float_because(reason: str) -> Decision:
    return Decision(int8=False, reason=reason)


def plan_quantization(
    graph: fx.Graph, backend_config: BackendConfig, *, keep_float: Collection[str] = ()
) -> QuantizationPlan:
    """Decides for every node whether it is int8.

    Args:
        graph: traced.
        backend_config: of the runtime.
        keep_float: blocks that stay float although the runtime has an int8 form of them.
    """
    box_nodes = box_dependent_nodes(graph)
    int8: set[fx.Node] = set()
    float_reasons: dict[str, str] = {}
    for node in graph.nodes:
        if node.op != "call_function" or node.target not in (WEIGHTED_OPS | ARITHMETIC_OPS):
            continue
        decision = _decide(node, backend_config, keep_float, box_nodes)
        if decision.int8:
            int8.add(node)
        elif decision.reason and node.target in WEIGHTED_OPS:
            float_reasons.setdefault(module_path(node) or block_name(node), decision.reason)
    _add_same_scale_nodes(graph, int8, backend_config)
    return QuantizationPlan(frozenset(int8), _scale_groups(graph, int8), float_reasons)


def _decide(
    node: fx.Node,
    backend_config: BackendConfig,
    keep_float: Collection[str],
    box_nodes: Collection[fx.Node],
) -> Decision:
    """The decision about a weighted or arithmetic operator."""
    if FLOAT_REASON in node.meta:
        return _float_because(node.meta[FLOAT_REASON])
    if not is_float(node):
        return _FLOAT
    # The rounding error of a mean is far smaller than one step of the values it is taken from.
    if in_norm(node) and not is_norm_mean(node):
        return _float_because("normalisation: its variance needs more than 8 bits")
    if node.target in WEIGHTED_OPS:
        if not has_weight(node):
            return _FLOAT  # the product of two activations
        if is_output_head(node):
            return _float_because(OUTPUT_HEAD)
    elif not _is_map_arithmetic(node, box_nodes):
        return _FLOAT
    if node.target not in backend_config.operators:
        return _float_because("the runtime has no int8 form of it")
    if block_name(node) in keep_float:
        return _float_because("sensitivity")
    return _INT8


def _is_map_arithmetic(node: fx.Node, box_nodes: Collection[fx.Node]) -> bool:
    """Whether an arithmetic operator computes a feature map from maps of the same shape.

    Boxes and scores are computed with the same operators. The ReLU of a layer gives a map
    wherever it is.
    """
    operands = float_inputs(node)
    arity = 2 if node.target in (aten.add.Tensor, aten.mul.Tensor) else 1
    if len(operands) != arity or any(shape(operand) != shape(node) for operand in operands):
        return False
    if node.target is aten.relu.default and has_weight(operands[0]):
        return not is_output_head(operands[0])  # whose values go on in float
    return node not in box_nodes and bool(module_path(node))


def _add_same_scale_nodes(
    graph: fx.Graph, int8: set[fx.Node], backend_config: BackendConfig
) -> None:
    """Adds the same-scale operators that read an int8 value, or whose readers are all int8."""
    targets = SAME_SCALE_OPS & backend_config.operators
    excluded = _right_operand_nodes(graph)
    candidates = [
        node
        for node in graph.nodes
        if node.target in targets and node not in excluded and is_float(node)
    ]
    growing = True
    while growing:  # each added node can make its neighbours int8
        growing = False
        for node in candidates:
            if node in int8:
                continue
            reads_int8 = any(source in int8 for source in float_inputs(node))
            read_by_int8 = bool(node.users) and all(user in int8 for user in node.users)
            if reads_int8 or read_by_int8:
                int8.add(node)
                growing = True


def _right_operand_nodes(graph: fx.Graph) -> set[fx.Node]:
    """Nodes that bring a layer's result to the right side of an attention product.

    They stay float. A runtime takes an int8 right operand for a weight and packs it anew at each
    run, which takes longer than the float product.
    """
    right_operands: set[fx.Node] = set()
    for node in graph.nodes:
        if node.target not in (aten.bmm.default, aten.matmul.default):
            continue
        chain, source = [], node.args[1]
        while source.target in SAME_SCALE_OPS and len(float_inputs(source)) == 1:
            chain.append(source)
            (source,) = float_inputs(source)
        if source.target not in SAME_SCALE_OPS:
            right_operands.update(chain)
    return right_operands


def _scale_groups(graph: fx.Graph, int8: Collection[fx.Node]) -> dict[fx.Node, fx.Node]:
    """Every int8 value with the representative of its group.

    A same-scale operator joins its inputs and its result into one group (union-find).
    """
    parent: dict[fx.Node, fx.Node] = {}

    def root(node: fx.Node) -> fx.Node:
        parent.setdefault(node, node)
        while parent[node] is not node:
            node = parent[node]
        return node

    for node in graph.nodes:
        if node in int8:
            root(node)
            for source in float_inputs(node):
                root(source)
                if node.target in SAME_SCALE_OPS:
                    parent[root(source)] = root(node)
    return {node: root(node) for node in parent}
