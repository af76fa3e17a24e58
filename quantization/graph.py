"""The traced model and which of its values are int8: decided here, carried out in `insert`.

A node of the graph is *int8* if the runtime computes it on int8 values. Operators that only move
values, or take means of them, are int8 wherever a neighbour is, and keep the scale of what they
move: so nothing turns back to float between two int8 operators without need.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload

from export.rewrite.norm import ConvLayerNorm, MeanLayerNorm, PooledGroupNorm
from lvt.config import Size

aten = torch.ops.aten

WEIGHTED = frozenset(
    {aten.conv2d.default, aten.linear.default, aten.conv_transpose2d.input, aten.matmul.default}
)
"""Take a weight as their second argument."""

ARITHMETIC = frozenset(
    {
        aten.add.Tensor,
        aten.mul.Tensor,
        aten.gelu.default,
        aten.silu.default,
        aten.sigmoid.default,
        aten.relu.default,
    }
)

DATA_MOVEMENT_OPS = frozenset(
    {
        aten.reshape.default,
        aten.view.default,
        aten.flatten.using_ints,
        aten.permute.default,
        aten.transpose.int,
        aten.slice.Tensor,
        aten.select.int,
        aten.narrow.default,
        aten.squeeze.dim,
        aten.unsqueeze.default,
        aten.cat.default,
        aten.stack.default,
        aten.pad.default,
        aten.upsample_bilinear2d.vec,
        aten.avg_pool2d.default,
    }
)
"""Results stay within the range of what goes in, so both share one scale."""

REARRANGEMENTS = DATA_MOVEMENT_OPS - {aten.upsample_bilinear2d.vec, aten.avg_pool2d.default}
"""Compute nothing: they are the same on the integers as on what those stand for."""

KEPT = "lvt_kept_float"
"""Entry of a node's meta: why it stays float, where whoever put it into the graph knows."""

_NORMS = (ConvLayerNorm, MeanLayerNorm, PooledGroupNorm, nn.LayerNorm, nn.GroupNorm)
_NORM_NAMES = frozenset(f"{kind.__module__}.{kind.__qualname__}" for kind in _NORMS)

_BLOCK = re.compile(r"(?:backbone\.)+\d+\.(?:0(?=\.|$)|\d+\.\d+(?:\.(?:attn|mlp))?)")


def trace(model: nn.Module, size: Size) -> fx.GraphModule:
    """The model for images (1, 3, *size) as one graph of ATen operators."""
    with torch.no_grad():
        return torch.export.export(model, (torch.zeros(1, 3, *size),)).module()


def module_path(node: fx.Node) -> str:
    """Dotted name of the module that computes a node; "" for the whole model."""
    stack = node.meta.get("nn_module_stack") or {}
    return list(stack.values())[-1][0] if stack else ""


def block_name(node: fx.Node) -> str:
    """The block that a node belongs to: what is measured and kept in float as a whole.

    Patch embeddings, attentions, MLPs and residual sums of the backbone; the parts of the heads;
    "model" for what is in none of them.
    """
    path = module_path(node)
    found = _BLOCK.match(path)
    return found[0] if found else ".".join(path.split(".")[:2]) or "model"


def _in_norm(node: fx.Node) -> bool:
    return any(kind in _NORM_NAMES for _, kind in (node.meta.get("nn_module_stack") or {}).values())


def _is_mean(node: fx.Node) -> bool:
    """Whether a norm's node is a layer over its input: that gives the mean, which is then centred.

    Rounded, it is off by far less than a step of the values themselves.
    """
    return is_layer(node) and not any(map(_in_norm, inputs(node)))


def inputs(node: fx.Node) -> list[fx.Node]:
    """The float tensors a node computes with, weights and other constants left out."""
    return [
        source for source in node.all_input_nodes if source.op != "get_attr" and _is_float(source)
    ]


def _is_float(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()


def shape(node: fx.Node) -> tuple[int, ...]:
    """Of a node's result."""
    return tuple(node.meta["val"].shape)


def constant(module: fx.GraphModule, node: fx.Node) -> Tensor:
    """The values behind a `get_attr` node."""
    return held(module, node).detach()


def held(module: fx.GraphModule, node: fx.Node) -> Tensor:
    """The very tensor behind a `get_attr` node."""
    holder: object = module
    for part in str(node.target).split("."):
        holder = getattr(holder, part)
    assert isinstance(holder, Tensor)
    return holder


@dataclass(frozen=True)
class BackendConfig:
    """What a runtime computes in int8.

    Attributes:
        operators: all of `DATA_MOVEMENT_OPS`, `WEIGHTED` and `ARITHMETIC` that it takes.
        unsigned: activations are uint8 (with int8 weights), not int8.
        integer_bias: biases are stored as int32; else it rounds them itself.
        int8_data_movement: takes `REARRANGEMENTS` of integers as such, and is slow where they stand
            between a dequantization and a quantization.
        channels_last: int8 maps lie in memory with their channels last.
        pairs_in_16_bits: on some processors its kernels add the products of two neighbouring
            inputs in 16 bits.
    """

    operators: frozenset[OpOverload]
    unsigned: bool = False
    integer_bias: bool = False
    int8_data_movement: bool = False
    channels_last: bool = False
    pairs_in_16_bits: bool = False


@dataclass(frozen=True)
class QuantizationPlan:
    """What is int8 in one graph.

    Attributes:
        nodes: computed on int8 values.
        scales: every int8 value to the representative of those that share its scale.
        floats: why what has a weight or is an activation stays float: block to reason.
    """

    nodes: frozenset[fx.Node]
    scales: Mapping[fx.Node, fx.Node]
    floats: Mapping[str, str]


def plan_quantization(
    graph: fx.Graph, abilities: BackendConfig, *, keep_float: Collection[str] = ()
) -> QuantizationPlan:
    """Decides what is int8.

    Args:
        graph: traced.
        abilities: of the runtime.
        keep_float: blocks that stay float although they could be int8.
    """
    boxes = behind_boxes(graph)
    int8: set[fx.Node] = set()
    floats: dict[str, str] = {}
    for node in graph.nodes:
        if node.op != "call_function" or node.target not in (WEIGHTED | ARITHMETIC):
            continue
        reason = _reason_for_float(node, abilities, boxes, keep_float)
        if reason is None:
            int8.add(node)
        elif reason and node.target in WEIGHTED:
            floats.setdefault(module_path(node) or block_name(node), reason)
    moves = DATA_MOVEMENT_OPS & abilities.operators
    operands = _right_operands(graph)
    growing = True
    while growing:
        growing = False
        for node in graph.nodes:
            if node.target in moves and node not in int8 | operands and _is_float(node):
                before = any(source in int8 for source in inputs(node))
                after = bool(node.users) and all(user in int8 for user in node.users)
                if before or after:
                    int8.add(node)
                    growing = True
    scales = _shared_scales(graph, int8)
    return QuantizationPlan(frozenset(int8), scales, floats)


def _reason_for_float(
    node: fx.Node, abilities: BackendConfig, boxes: set[fx.Node], keep_float: Collection[str]
) -> str | None:
    """Why a node is not int8: None if it is, "" if there is nothing to tell."""
    weighted = node.target in WEIGHTED
    if not _is_float(node) or KEPT in node.meta:
        return node.meta.get(KEPT, "")
    if _in_norm(node) and not _is_mean(node):
        return "normalisation: its variance needs more than 8 bits"
    if weighted and not is_layer(node):
        return ""  # a product of two activations
    if not weighted:
        operands = inputs(node)
        same = all(shape(operand) == shape(node) for operand in operands)
        wanted = 2 if node.target in (aten.add.Tensor, aten.mul.Tensor) else 1
        if not same or len(operands) != wanted:
            return ""
        # Boxes and scores are computed with the same operators as maps; what a layer's ReLU
        # gives is a map wherever it stands.
        of_layer = node.target is aten.relu.default and is_layer(operands[0])
        if not of_layer and (node in boxes or not module_path(node)):
            return ""
    if weighted and is_head(node):
        return "output head: one scale cannot hold channels of different range"
    if node.target not in abilities.operators:
        return "the runtime has no int8 form of it"
    if block_name(node) in keep_float:
        return "sensitivity"
    return None


def is_head(node: fx.Node) -> bool:
    """Whether a layer's result goes to the arithmetic of boxes and scores, and to no other layer.

    That arithmetic is no module's.
    """
    found, waiting = False, [node]
    while waiting:
        for user in waiting.pop().users:
            if is_layer(user):
                return False
            if user.target in DATA_MOVEMENT_OPS or user.target is aten.relu.default:
                waiting.append(user)
            elif user.op == "call_function" and not module_path(user):
                found = True
    return found


def is_layer(node: fx.Node) -> bool:
    """Whether a node has a weight of its own; products of two activations have none."""
    return node.target in WEIGHTED and node.args[1].op == "get_attr"  # type: ignore[union-attr]


def _right_operands(graph: fx.Graph) -> set[fx.Node]:
    """What brings a layer's result to the right side of a product of attention.

    Left in float: an int8 right operand would be taken for a weight and packed anew at each run,
    which takes longer than the float product.
    """
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if node.target not in (aten.bmm.default, aten.matmul.default):
            continue
        chain, source = [], node.args[1]
        while source.target in DATA_MOVEMENT_OPS and len(inputs(source)) == 1:
            chain.append(source)
            (source,) = inputs(source)
        if source.target not in DATA_MOVEMENT_OPS:
            found.update(chain)
    return found


def behind_boxes(graph: fx.Graph) -> set[fx.Node]:
    """All nodes whose result depends on which boxes were chosen."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        chooses = node.target is aten.topk.default
        if chooses or any(source in found for source in node.all_input_nodes):
            found.add(node)
    return found


def _shared_scales(graph: fx.Graph, int8: Collection[fx.Node]) -> dict[fx.Node, fx.Node]:
    """Every int8 value with the representative of its group: moves join what they move."""
    parent: dict[fx.Node, fx.Node] = {}

    def root(node: fx.Node) -> fx.Node:
        parent.setdefault(node, node)
        while parent[node] is not node:
            node = parent[node]
        return node

    for node in graph.nodes:
        if node in int8:
            root(node)
            for source in inputs(node):
                root(source)
                if node.target in DATA_MOVEMENT_OPS:
                    parent[root(source)] = root(node)
    return {node: root(node) for node in parent}


def blocks(graph: fx.Graph, nodes: Iterable[fx.Node]) -> list[str]:
    """The blocks that have a weight or activation among `nodes`, in the order of execution."""
    members = set(nodes)
    return list(
        dict.fromkeys(
            block_name(node)
            for node in graph.nodes
            if node in members and node.target in (WEIGHTED | ARITHMETIC)
        )
    )
