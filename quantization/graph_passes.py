"""Graph passes that let more of a traced model run in int8, or run faster there.

All are exact except `approximate_gelu`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, fx
from torch._ops import OpOverload

from export.rewrite.linear import channel_groups
from quantization.backend_config import BackendConfig
from quantization.graph import SAME_SCALE_OPS, aten, constant, float_inputs, has_weight, shape
from quantization.observer import CalibrationStats
from quantization.plan import FLOAT_REASON
from quantization.ranges import Range

_MAX_EXPONENT = 60.0
"""exp(60) and exp(-60) are 1e26 and 9e-27: their sums and quotients are normal float32 numbers."""

_NEWTON_STEPS = 2
"""Errors of 15% become 3%, then 0.2%."""

GELU_SLOPE = 1.702


def pre_calibration_passes(module: fx.GraphModule, backend_config: BackendConfig) -> None:
    """Replaces activations that the runtime does not have in int8."""
    if aten.silu.default not in backend_config.operators:
        decompose_silu(module)
    if aten.gelu.default not in backend_config.operators:
        approximate_gelu(module)
    if backend_config.integers_only:
        # Integers have no subnormal numbers, and the least of their levels is above every floor.
        softmaxes = module.graph.find_nodes(op="call_function", target=aten.softmax.int)
        drop_probability_floors(module, dict.fromkeys(softmaxes, 0.0))
    if backend_config.tabulated_rsqrt:
        refine_rsqrt(module)


def post_calibration_passes(
    module: fx.GraphModule, statistics: CalibrationStats, backend_config: BackendConfig
) -> None:
    """Simplifies softmaxes, as far as the extremes of their operands allow."""
    if backend_config.integers_only:
        return  # accelerators have a softmax of their own
    softmax_without_max(module, statistics.extremes, channels_last=backend_config.channels_last)
    drop_probability_floors(module, statistics.softmax_spreads)


def decompose_silu(module: fx.GraphModule) -> None:
    """Replaces SiLU by x * sigmoid(x), for runtimes that have only those two in int8."""
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


def refine_rsqrt(module: fx.GraphModule) -> None:
    """Adds steps of Newton's method to each rsqrt, which change nothing in float.

    In a table of 512 points over the range of a variance, small variances are off by a tenth.
    """
    graph = module.graph
    mul, add = aten.mul.Tensor, aten.add.Tensor
    for node in graph.find_nodes(op="call_function", target=aten.rsqrt.default):
        (variance,) = node.args
        readers, result, last = list(node.users), node, node

        def append(target: OpOverload, *operands: fx.Node | float, like: fx.Node = node) -> fx.Node:
            nonlocal last
            with graph.inserting_after(last):
                last = graph.call_function(target, operands)
            last.meta = dict(like.meta)
            return last

        for _ in range(_NEWTON_STEPS):
            # (v * r) * r: no intermediate value spans more than the root of the variance does.
            product = append(mul, append(mul, variance, result), result)
            result = append(mul, result, append(add, append(mul, product, -0.5), 1.5))
        for reader in readers:
            reader.replace_input_with(node, result)
    module.recompile()


def approximate_gelu(module: fx.GraphModule) -> None:
    """Replaces GELU by x * sigmoid(1.702 * x), for runtimes that have only those two in int8.

    An approximation: its error is at most 0.0203, at x = 2.27 and -2.27. The error of the model
    is measured together with that of int8. Between two layers, the weights of the first include the
    factor, and the weights of the second its inverse.
    """
    graph = module.graph
    scaler = _WeightScaler(module)
    for node in list(graph.nodes):
        if node.target is not aten.gelu.default:
            continue
        (x,) = float_inputs(node)
        readers = list(node.users)
        with graph.inserting_before(node):
            scaled = x
            if has_weight(x) and len(x.users) == 1 and all(map(has_weight, readers)):
                scaler.scale(x, GELU_SLOPE, positions=(1, 2))
                for reader in readers:
                    scaler.scale(reader, 1 / GELU_SLOPE, positions=(1,))
            else:
                scaled = graph.call_function(aten.mul.Tensor, (x, GELU_SLOPE))
            gate = graph.call_function(aten.sigmoid.default, (scaled,))
            product = graph.call_function(aten.mul.Tensor, (x, gate))
        for new_node in {scaled, gate, product} - {x}:
            new_node.meta = dict(node.meta)
        node.replace_all_uses_with(product)
        graph.erase_node(node)
    graph.eliminate_dead_code()
    module.recompile()


class _WeightScaler:
    """Multiplies weights and biases of layers; layers that share a weight share the product."""

    def __init__(self, module: fx.GraphModule):
        self._module = module
        self._scaled: dict[tuple[fx.Node, float], fx.Node] = {}

    def scale(self, layer: fx.Node, factor: float, positions: tuple[int, ...]) -> None:
        """Multiplies the constants at some positions of a layer's arguments, if it has them."""
        for position in positions:
            node = layer.args[position] if position < len(layer.args) else None
            if isinstance(node, fx.Node):
                layer.update_arg(position, self._scaled_constant(node, factor))

    def _scaled_constant(self, node: fx.Node, factor: float) -> fx.Node:
        if (node, factor) not in self._scaled:
            name = f"scaled_{len(self._scaled)}"
            self._module.register_buffer(name, constant(self._module, node) * factor)
            with self._module.graph.inserting_after(node):
                scaled = self._module.graph.get_attr(name)
            scaled.meta = dict(node.meta)
            self._scaled[node, factor] = scaled
        return self._scaled[node, factor]


def drop_probability_floors(
    module: fx.GraphModule, softmax_spreads: Mapping[fx.Node, float]
) -> None:
    """Removes lower limits, before or after a softmax, that no value comes near.

    Args:
        module: traced.
        softmax_spreads: greatest observed distance between two values of one row, by softmax.
    """
    for softmax in list(module.graph.nodes):
        if softmax_spreads.get(softmax, math.inf) >= _MAX_EXPONENT:
            continue
        (operand,) = float_inputs(softmax)
        if operand.target is aten.maximum.default:
            softmax.replace_input_with(operand, float_inputs(operand)[0])
        # The least probability is that of one value so far below all others.
        least = math.exp(-_MAX_EXPONENT) / max(shape(softmax))
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
    """Replaces softmaxes over few channels of an int8 map by exp, sums and a division.

    Softmax subtracts each row's maximum only to keep exp() from overflowing; the values of an int8
    map have known bounds. Two products, or two 1x1 convolutions where channels come first, sum over
    groups of channels and give the sums back to each channel. Many short rows are slow in every
    runtime.
    """
    for node in list(module.graph.nodes):
        if node.target is not aten.softmax.int:
            continue
        logits = _grouped_logits(node)
        if logits is None or logits not in ranges:
            continue
        low, high = ranges[logits]
        if high - low <= _MAX_EXPONENT:
            _replace_softmax(module, node, logits, channels_last=channels_last)
    module.graph.eliminate_dead_code()
    module.recompile()


def _grouped_logits(softmax: fx.Node) -> fx.Node | None:
    """The (B, C, h, w) map whose groups of consecutive channels are the rows of a softmax.

    None if the softmax takes its rows from elsewhere.
    """
    reshaped = softmax.args[0]
    if not (isinstance(reshaped, fx.Node) and reshaped.target is aten.reshape.default):
        return None
    (permuted,) = float_inputs(reshaped)
    if permuted.target is not aten.permute.default or permuted.args[1] != [0, 2, 3, 1]:
        return None
    (logits,) = float_inputs(permuted)
    size = shape(softmax)[-1]
    over_last_axis = softmax.args[1] in (-1, len(shape(softmax)) - 1)
    only_reader = len(permuted.users) == len(reshaped.users) == 1
    grouped = shape(logits)[1] % size == 0 and shape(logits)[1] > size
    if over_last_axis and only_reader and grouped and logits.target not in SAME_SCALE_OPS:
        return logits
    return None


def _replace_softmax(
    module: fx.GraphModule, softmax: fx.Node, logits: fx.Node, *, channels_last: bool
) -> None:
    """Computes a softmax on the map: after the permutation if channels are last, else before it."""
    graph = module.graph
    reshaped = softmax.args[0]
    assert isinstance(reshaped, fx.Node)
    (permuted,) = float_inputs(reshaped)
    size, channels = shape(softmax)[-1], shape(logits)[1]
    groups = channel_groups(channels, size)  # (C, groups)
    if channels_last:
        source, reader, product = permuted, reshaped, aten.matmul.default
        gather, spread = groups, groups.T
    else:
        source, reader, product = logits, permuted, aten.conv2d.default
        gather, spread = groups.T[:, :, None, None], groups[:, :, None, None]
    names = [f"{softmax.name}_gather", f"{softmax.name}_spread"]
    for name, weight in zip(names, (gather, spread), strict=True):
        module.register_buffer(name, weight.contiguous())
    with graph.inserting_before(reader):
        exp = graph.call_function(aten.exp.default, (source,))
        sums = graph.call_function(product, (exp, graph.get_attr(names[0])))
        divisors = graph.call_function(product, (sums, graph.get_attr(names[1])))
        probabilities = graph.call_function(aten.div.Tensor, (exp, divisors))
    value: Tensor = source.meta["val"]
    for node in (exp, sums, divisors, probabilities):
        node.meta = dict(softmax.meta)
        node.meta |= {"val": value, FLOAT_REASON: "softmax: its shares span more than 8 bits"}
    sums.meta["val"] = value.narrow(3 if channels_last else 1, 0, channels // size)
    reader.replace_input_with(source, probabilities)
    softmax.replace_all_uses_with(reshaped)
