"""Exact changes to the traced graph that let more of it, or faster forms of it, be int8."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, fx

from quantization.graph import KEPT, MOVES, Abilities, aten, inputs, shape
from quantization.insert import Range
from quantization.observe import Statistics

_WIDEST = 60.0
"""exp() of 60 below the greatest is 9e-27: sums of such are still normal float32 numbers."""


def split_silu(module: fx.GraphModule) -> None:
    """SiLU as x * sigmoid(x), for runtimes that have int8 forms of those two only."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target is not aten.silu.default:
            continue
        with graph.inserting_before(node):
            gate = graph.call_function(aten.sigmoid.default, (node.args[0],))
            product = graph.call_function(aten.mul.Tensor, (node.args[0], gate))
        gate.meta, product.meta = dict(node.meta), dict(node.meta)
        node.replace_all_uses_with(product)
        graph.erase_node(node)
    module.recompile()


def shift_softmax(module: fx.GraphModule, ranges: Mapping[fx.Node, Range]) -> None:
    """Softmax over few channels of an int8 map, without looking for each row's greatest value.

    softmax(x) = exp(x - c) / sum(exp(x - c)) for any c. A row's own greatest value serves as c
    only to keep exp() from overflowing; an int8 map's values have known bounds, so the upper one
    does. The sums over groups of channels are two 1x1 convolutions: many short rows are slow in
    every runtime.
    """
    for node in list(module.graph.nodes):
        if node.target is not aten.softmax.int:
            continue
        size = shape(node)[-1]
        logits = _grouped_channels(node, size)
        if logits is None or logits not in ranges:
            continue
        low, high = ranges[logits]
        if high - low <= _WIDEST:
            _replace(module, node, logits, size, high)
    module.graph.eliminate_dead_code()
    module.recompile()


def _grouped_channels(softmax: fx.Node, size: int) -> fx.Node | None:
    """The (B, C, h, w) map whose consecutive channels the rows of a softmax are."""
    reshaped = softmax.args[0]
    if not (isinstance(reshaped, fx.Node) and reshaped.target is aten.reshape.default):
        return None
    (permuted,) = inputs(reshaped)
    if permuted.target is not aten.permute.default or permuted.args[1] != [0, 2, 3, 1]:
        return None
    (source,) = inputs(permuted)
    last = softmax.args[1] in (-1, len(shape(softmax)) - 1)
    own = len(permuted.users) == len(reshaped.users) == 1
    grouped = shape(source)[1] % size == 0 and shape(source)[1] > size
    return source if last and own and grouped and source.target not in MOVES else None


def _replace(
    module: fx.GraphModule, softmax: fx.Node, logits: fx.Node, size: int, greatest: float
) -> None:
    graph = module.graph
    reshaped = softmax.args[0]
    assert isinstance(reshaped, fx.Node)
    (permuted,) = inputs(reshaped)
    channels = shape(logits)[1]
    group = torch.arange(channels) // size
    gather = (torch.arange(channels // size)[:, None] == group).float()[:, :, None, None]
    names = [f"{softmax.name}_gather", f"{softmax.name}_spread"]
    module.register_buffer(names[0], gather)
    module.register_buffer(names[1], gather.transpose(0, 1).contiguous())
    with graph.inserting_before(permuted):
        shifted = graph.call_function(aten.sub.Tensor, (logits, greatest))
        exp = graph.call_function(aten.exp.default, (shifted,))
        sums = graph.call_function(aten.conv2d.default, (exp, graph.get_attr(names[0])))
        spread = graph.call_function(aten.conv2d.default, (sums, graph.get_attr(names[1])))
        shares = graph.call_function(aten.div.Tensor, (exp, spread))
    like: Tensor = logits.meta["val"]
    for node in (shifted, exp, sums, spread, shares):
        node.meta = dict(softmax.meta)
        node.meta |= {"val": like, KEPT: "softmax: its shares span more than 8 bits"}
    sums.meta["val"] = like[:, : channels // size]
    permuted.replace_input_with(logits, shares)
    softmax.replace_all_uses_with(reshaped)


def prepare(module: fx.GraphModule, abilities: Abilities) -> None:
    """What can be done before calibration."""
    if aten.silu.default not in abilities.operators:
        split_silu(module)


def refine(module: fx.GraphModule, statistics: Statistics) -> None:
    """What takes the values' extremes."""
    extremes = {
        node: (statistics.histograms[group].low, statistics.histograms[group].high)
        for node, group in statistics.groups.items()
    }
    shift_softmax(module, extremes)
