"""Changes to the traced graph that let more of it, or faster forms of it, be int8.

All are exact, but for `approximate_gelu`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, fx

from export.rewrite.linear import channel_groups
from quantization.graph import (
    DATA_MOVEMENT_OPS,
    KEPT,
    BackendConfig,
    aten,
    constant,
    inputs,
    is_layer,
    shape,
)
from quantization.insert_qdq import Range
from quantization.observer import CalibrationStats

_WIDEST = 60.0
"""exp() of 60 and -60 is 1e26 and 9e-27: sums and shares of them are normal float32 numbers."""

GELU_SLOPE = 1.702


def decompose_silu(module: fx.GraphModule) -> None:
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


def approximate_gelu(module: fx.GraphModule) -> None:
    """GELU as x * sigmoid(1.702 * x), for runtimes whose int8 forms are those of the two.

    An approximation: it is off by 0.0203 at most, at x = 2.27 and -2.27. What trained models do to
    their int8 outputs with it is measured with everything else. Between two layers the factor goes
    into the weights of the first, and is taken out again by those of the second.
    """
    graph = module.graph
    weights = _ScaledWeights(module)
    for node in list(graph.nodes):
        if node.target is not aten.gelu.default:
            continue
        (x,) = inputs(node)
        readers = list(node.users)
        with graph.inserting_before(node):
            steeper = x
            if is_layer(x) and len(x.users) == 1 and all(map(is_layer, readers)):
                weights.multiply(x, GELU_SLOPE, places=(1, 2))
                for reader in readers:
                    weights.multiply(reader, 1 / GELU_SLOPE, places=(1,))
            else:
                steeper = graph.call_function(aten.mul.Tensor, (x, GELU_SLOPE))
            gate = graph.call_function(aten.sigmoid.default, (steeper,))
            product = graph.call_function(aten.mul.Tensor, (x, gate))
        for made in {steeper, gate, product} - {x}:
            made.meta = dict(node.meta)
        node.replace_all_uses_with(product)
        graph.erase_node(node)
    graph.eliminate_dead_code()
    module.recompile()


class _ScaledWeights:
    """Constants times a factor; layers that share one share the other too."""

    def __init__(self, module: fx.GraphModule):
        self.module = module
        self.made: dict[tuple[fx.Node, float], fx.Node] = {}

    def multiply(self, layer: fx.Node, factor: float, places: tuple[int, ...]) -> None:
        """Gives a layer other constants at some places of its arguments, where it has any."""
        for place in places:
            given = layer.args[place] if place < len(layer.args) else None
            if isinstance(given, fx.Node):
                layer.update_arg(place, self.scaled(given, factor))

    def scaled(self, given: fx.Node, factor: float) -> fx.Node:
        if (given, factor) not in self.made:
            name = f"scaled_{len(self.made)}"
            self.module.register_buffer(name, constant(self.module, given) * factor)
            with self.module.graph.inserting_after(given):
                node = self.module.graph.get_attr(name)
            node.meta = dict(given.meta)
            self.made[given, factor] = node
        return self.made[given, factor]


def drop_probability_floors(module: fx.GraphModule, spreads: Mapping[fx.Node, float]) -> None:
    """Takes away least values, of softmax results or of what goes in, that nothing comes near.

    Args:
        module: traced.
        spreads: of each softmax, the greatest distance seen between two values of a row.
    """
    for softmax in list(module.graph.nodes):
        if spreads.get(softmax, math.inf) >= _WIDEST:
            continue
        (operand,) = inputs(softmax)
        if operand.target is aten.maximum.default:
            softmax.replace_input_with(operand, inputs(operand)[0])
        # The least share is that of one value so far below all others.
        least = math.exp(-_WIDEST) / max(shape(softmax))
        for clamp in list(softmax.users):
            if clamp.target is not aten.clamp.default or len(clamp.args) > 2:
                continue
            floor = clamp.args[1]
            if isinstance(floor, float) and floor < least:
                clamp.replace_all_uses_with(softmax)
    module.graph.eliminate_dead_code()
    module.recompile()


def softmax_without_max(
    module: fx.GraphModule, ranges: Mapping[fx.Node, Range], *, channels_last: bool
) -> None:
    """Softmax over few channels of an int8 map, without looking for each row's greatest value.

    That is subtracted only to keep exp() from overflowing; an int8 map's values have known bounds.
    The sums over groups of channels, and giving them back to each channel, are two products, or
    two 1x1 convolutions where channels come first: many short rows are slow in every runtime.
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
            _replace(module, node, logits, size, channels_last=channels_last)
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
    return source if last and own and grouped and source.target not in DATA_MOVEMENT_OPS else None


def _replace(
    module: fx.GraphModule, softmax: fx.Node, logits: fx.Node, size: int, *, channels_last: bool
) -> None:
    graph = module.graph
    reshaped = softmax.args[0]
    assert isinstance(reshaped, fx.Node)
    (permuted,) = inputs(reshaped)
    source, reader, product = (
        (permuted, reshaped, aten.matmul.default)
        if channels_last
        else (logits, permuted, aten.conv2d.default)
    )
    channels = shape(logits)[1]
    groups = channel_groups(channels, size)
    if channels_last:
        gather, spread = groups, groups.T
    else:
        gather, spread = groups.T[:, :, None, None], groups[:, :, None, None]
    names = [f"{softmax.name}_gather", f"{softmax.name}_spread"]
    for name, weight in zip(names, (gather, spread), strict=True):
        module.register_buffer(name, weight.contiguous())
    with graph.inserting_before(reader):
        exp = graph.call_function(aten.exp.default, (source,))
        sums = graph.call_function(product, (exp, graph.get_attr(names[0])))
        divisors = graph.call_function(product, (sums, graph.get_attr(names[1])))
        shares = graph.call_function(aten.div.Tensor, (exp, divisors))
    like: Tensor = source.meta["val"]
    for node in (exp, sums, divisors, shares):
        node.meta = dict(softmax.meta)
        node.meta |= {"val": like, KEPT: "softmax: its shares span more than 8 bits"}
    sums.meta["val"] = like.narrow(3 if channels_last else 1, 0, channels // size)
    reader.replace_input_with(source, shares)
    softmax.replace_all_uses_with(reshaped)


def prepare(module: fx.GraphModule, abilities: BackendConfig) -> None:
    """What can be done before calibration."""
    if aten.silu.default not in abilities.operators:
        decompose_silu(module)
    if aten.gelu.default not in abilities.operators:
        approximate_gelu(module)


def refine(module: fx.GraphModule, statistics: CalibrationStats, abilities: BackendConfig) -> None:
    """What takes the values' extremes."""
    extremes = {
        node: (statistics.histograms[group].low, statistics.histograms[group].high)
        for node, group in statistics.groups.items()
    }
    softmax_without_max(module, extremes, channels_last=abilities.channels_last)
    drop_probability_floors(module, statistics.spreads)
