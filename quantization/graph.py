"""The graph of a traced model: tracing, its operators, and facts about single nodes.

Nothing here knows about integers: `plan` decides which values become int8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import Tensor, fx, nn

from export.rewrite.norm import ConvLayerNorm, MeanLayerNorm, PooledGroupNorm
from quantization.inputs import Inputs

aten = torch.ops.aten

WEIGHTED_OPS = frozenset(
    {aten.conv2d.default, aten.linear.default, aten.conv_transpose2d.input, aten.matmul.default}
)
"""Operators that can take a weight as their second argument."""

CONVOLUTIONS = frozenset({aten.conv2d.default, aten.conv_transpose2d.input})

PRODUCTS = frozenset({aten.bmm.default, aten.matmul.default})
"""Products of two activations, if `has_weight` is false."""

ARITHMETIC_OPS = frozenset(
    {
        aten.add.Tensor,
        aten.mul.Tensor,
        aten.gelu.default,
        aten.silu.default,
        aten.sigmoid.default,
        aten.relu.default,
    }
)
"""Operators that compute new values from activations only."""

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
    }
)
"""Operators that compute nothing: they give the same result on integers as on floats."""

SAME_SCALE_OPS = DATA_MOVEMENT_OPS | {
    aten.upsample_bilinear2d.vec,
    aten.upsample_nearest2d.vec,
    aten.avg_pool2d.default,
    aten.max_pool2d.default,
    aten.expand.default,
}
"""Operators whose results stay within the range of their inputs, so both share one scale."""

_NORMS = (ConvLayerNorm, MeanLayerNorm, PooledGroupNorm, nn.LayerNorm, nn.GroupNorm)
_NORM_NAMES = frozenset(f"{kind.__module__}.{kind.__qualname__}" for kind in _NORMS)

_BLOCK = re.compile(r"(?:backbone\.)+\d+\.(?:0(?=\.|$)|\d+\.\d+(?:\.(?:attn|mlp))?)")


CALLS = "lvt_calls"
"""Key of a node's meta: how often it runs for an image, if more than once."""

NOT_COMPARED = "lvt_not_compared"
"""Key of an output's meta: whether no probe compares it."""


def trace(model: nn.Module, inputs: Inputs) -> fx.GraphModule:
    """The model as one graph of ATen operators.

    Args:
        model: to trace.
        inputs: of the shapes that the graph takes.
    """
    with torch.no_grad():
        zeros = tuple(torch.zeros(value.shape) for value in inputs)
        return torch.export.export(model, zeros).module()


# Where a node belongs.


def module_path(node: fx.Node) -> str:
    """Dotted name of the module that computes a node; "" for the whole model."""
    stack = node.meta.get("nn_module_stack") or {}
    return list(stack.values())[-1][0] if stack else ""


def block_name(node: fx.Node) -> str:
    """The block of a node: the unit that is measured and kept in float as a whole.

    Blocks are the patch embeddings, attentions, MLPs and residual sums of the backbone, and the
    parts of the heads. Everything else belongs to the block "model".
    """
    path = module_path(node)
    match = _BLOCK.match(path)
    return match[0] if match else ".".join(path.split(".")[:2]) or "model"


def block_names(graph: fx.Graph, nodes: Iterable[fx.Node]) -> list[str]:
    """The blocks with a weighted or arithmetic operator in `nodes`, in execution order."""
    members = set(nodes)
    return list(
        dict.fromkeys(
            block_name(node)
            for node in graph.nodes
            if node in members and node.target in (WEIGHTED_OPS | ARITHMETIC_OPS)
        )
    )


def in_norm(node: fx.Node) -> bool:
    """Whether a normalisation module computes a node."""
    return any(kind in _NORM_NAMES for _, kind in (node.meta.get("nn_module_stack") or {}).values())


# Inputs, shapes and constants.


def is_float(node: fx.Node) -> bool:
    """Whether a node's result is one float tensor."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()


def float_inputs(node: fx.Node) -> list[fx.Node]:
    """The float activations that a node reads, without weights and other constants."""
    return [
        source for source in node.all_input_nodes if source.op != "get_attr" and is_float(source)
    ]


def parameters(node: fx.Node) -> tuple[fx.Node, ...]:
    """The constants of a layer or a normalisation: its weight, then its bias."""
    first = 2 if node.target is aten.layer_norm.default else 1
    if first == 1 and not has_weight(node):
        return ()
    return tuple(arg for arg in node.args[first : first + 2] if isinstance(arg, fx.Node))


def constant_operands(node: fx.Node) -> list[fx.Node]:
    """The float constants that a node computes with, except its `parameters`."""
    return [
        source
        for source in node.all_input_nodes
        if source.op == "get_attr" and source not in parameters(node) and is_float(source)
    ]


def shape(node: fx.Node) -> tuple[int, ...]:
    """Shape of a node's result."""
    return tuple(node.meta["val"].shape)


def attr_tensor(module: fx.GraphModule, node: fx.Node) -> Tensor:
    """The tensor that a `get_attr` node reads; the module's own, not a copy."""
    value: object = module
    for part in str(node.target).split("."):
        value = getattr(value, part)
    assert isinstance(value, Tensor)
    return value


def constant(module: fx.GraphModule, node: fx.Node) -> Tensor:
    """The tensor that a `get_attr` node reads, detached from gradients."""
    return attr_tensor(module, node).detach()


# Kinds of nodes.


def has_weight(node: fx.Node) -> bool:
    """Whether a node is a layer with a weight; the product of two activations has none."""
    if node.target not in WEIGHTED_OPS:
        return False
    weight = node.args[1]
    return isinstance(weight, fx.Node) and weight.op == "get_attr"


def is_attention_product(node: fx.Node) -> bool:
    """Whether a node multiplies the shares of a softmax with values."""
    if node.target not in PRODUCTS or has_weight(node):
        return False
    shares = float_inputs(node)[0]
    while shares.target in DATA_MOVEMENT_OPS:
        shares = float_inputs(shares)[0]
    return shares.target is aten.softmax.int


def is_norm_mean(node: fx.Node) -> bool:
    """Whether a node of a normalisation computes the mean of its input with a layer.

    The rewritten norms do so. Only such a layer reads the norm's input directly.
    """
    return has_weight(node) and not any(map(in_norm, float_inputs(node)))


def is_output_head(node: fx.Node) -> bool:
    """Whether a layer's result goes to the arithmetic of boxes and scores, and to no other layer.

    That arithmetic belongs to no module.
    """
    feeds_box_arithmetic, pending = False, [node]
    while pending:
        for user in pending.pop().users:
            if has_weight(user):
                return False
            if user.target in SAME_SCALE_OPS or user.target is aten.relu.default:
                pending.append(user)
            elif user.op == "call_function" and not module_path(user):
                feeds_box_arithmetic = True
    return feeds_box_arithmetic


def box_dependent_nodes(graph: fx.Graph) -> set[fx.Node]:
    """All nodes whose results depend on which boxes the model selects with top-k."""
    dependent: set[fx.Node] = set()
    for node in graph.nodes:
        selects_boxes = node.target is aten.topk.default
        if selects_boxes or any(source in dependent for source in node.all_input_nodes):
            dependent.add(node)
    return dependent
