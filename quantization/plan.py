"""Decides which values of a traced model become integers, and records why the others do not.

An *integer node* is one that the runtime computes on integers: of 8 bits, or of 16 bits where the
runtime has them. Operators that keep the range of their inputs are integer nodes wherever a
neighbour is, and share its scale. So nothing turns back to float between two integer nodes without
need. `insert_qdq` applies the plan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import fx

from quantization.backend_config import BackendConfig
from quantization.graph import (
    ARITHMETIC_OPS,
    DATA_MOVEMENT_OPS,
    SAME_SCALE_OPS,
    WEIGHTED_OPS,
    aten,
    block_name,
    box_dependent_nodes,
    constant_operands,
    float_inputs,
    has_weight,
    in_norm,
    is_float,
    is_norm_mean,
    is_output_head,
    module_path,
    shape,
)
from quantization.quant_params import Bits

FLOAT_REASON = "lvt_float_reason"
"""Key of a node's meta: a graph pass stores there why the node must stay float."""

OUTPUT_HEAD = "output head: one scale cannot hold channels of different range"
"""Reason why the last layers before the arithmetic of boxes stay float."""


@dataclass(frozen=True)
class QuantizationPlan:
    """Which values of one graph are integers.

    Attributes:
        integer_nodes: nodes that are computed on integers.
        scale_groups: every integer value to the representative of the group that shares its scale;
            the inputs of integer nodes are among them.
        float_reasons: layer to the reason why it stays float, or gets 16 bits.
        bits: of every integer value.
    """

    integer_nodes: frozenset[fx.Node]
    scale_groups: Mapping[fx.Node, fx.Node]
    float_reasons: Mapping[str, str]
    bits: Mapping[fx.Node, Bits]


@dataclass(frozen=True)
class Decision:
    """Whether one operator computes on integers of 8 bits.

    Attributes:
        int8: whether it does.
        reason: why not; None if it does, or if its float form needs no explanation.
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
    """Decides for every node whether it is an integer node.

    Args:
        graph: traced.
        backend_config: of the runtime.
        keep_float: blocks that stay float, or get 16 bits, although the runtime has an int8 form of
            them.
    """
    if backend_config.integers_only:
        return _plan_integers(graph, backend_config, keep_float)
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
    groups = _scale_groups(graph, int8, backend_config, {})
    return QuantizationPlan(frozenset(int8), groups, float_reasons, dict.fromkeys(groups, 8))


def _plan_integers(
    graph: fx.Graph, backend_config: BackendConfig, wide_blocks: Collection[str]
) -> QuantizationPlan:
    """The plan for a runtime that computes everything on integers.

    A node has the same number of bits at its inputs and its output. Data movement keeps what must
    have 16 bits in 16.
    """
    bits: dict[fx.Node, Bits] = {}
    reasons: dict[str, str] = {}
    reasons_of: dict[fx.Node, str] = {}
    for node in graph.nodes:
        if node.op != "call_function" or not is_float(node):
            continue
        reason = _needs_16_bits(node, reasons_of)
        if reason is not None and not in_norm(node):
            reasons_of[node] = reason
        wide = reason is not None or block_name(node) in wide_blocks
        bits[node] = 16 if wide else backend_config.activation_bits
        if reason is not None and node.target in WEIGHTED_OPS:
            reasons.setdefault(module_path(node) or block_name(node), reason)
    operators = frozenset(bits)
    for node in operators:
        for source in integer_inputs(node, backend_config):
            if source not in operators:  # an image or a constant
                bits[source] = max(bits.get(source, 8), bits[node])
    groups = _scale_groups(graph, operators, backend_config, bits)
    return QuantizationPlan(operators, groups, reasons, bits)


def _needs_16_bits(node: fx.Node, reasons_before: Mapping[fx.Node, str]) -> str | None:
    """Why a node gets 16 bits in any case; None if it does not.

    Args:
        node: of a graph.
        reasons_before: those of the nodes before it whose results should stay in 16 bits.
    """
    if FLOAT_REASON in node.meta:
        return str(node.meta[FLOAT_REASON])
    if in_norm(node) and node.target is not aten.layer_norm.default:
        return "normalisation: its variance needs more than 8 bits"
    if node.target in DATA_MOVEMENT_OPS:
        inherited = [reasons_before.get(source) for source in float_inputs(node)]
        if inherited and None not in inherited:
            return inherited[0]
    return None


def integer_inputs(node: fx.Node, backend_config: BackendConfig) -> list[fx.Node]:
    """The values that an integer node reads as integers, without its weight and bias."""
    constants = constant_operands(node) if backend_config.integers_only else []
    return [*float_inputs(node), *constants]


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


def _scale_groups(
    graph: fx.Graph,
    integer_nodes: Collection[fx.Node],
    backend_config: BackendConfig,
    bits: Mapping[fx.Node, Bits],
) -> dict[fx.Node, fx.Node]:
    """Every integer value with the representative of its group.

    A same-scale operator joins its inputs and its result into one group (union-find).

    Args:
        graph: traced.
        integer_nodes: of the plan.
        backend_config: of the runtime.
        bits: of the values; empty if all have the same. Values of different bits share no scale.
    """
    parent: dict[fx.Node, fx.Node] = {}

    def root(node: fx.Node) -> fx.Node:
        parent.setdefault(node, node)
        while parent[node] is not node:
            node = parent[node]
        return node

    for node in graph.nodes:
        if node in integer_nodes:
            root(node)
            for source in integer_inputs(node, backend_config):
                root(source)
                if node.target in SAME_SCALE_OPS and bits.get(source) == bits.get(node):
                    parent[root(source)] = root(node)
    return {node: root(node) for node in parent}
