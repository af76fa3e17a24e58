"""Carries a plan out: the same graph with its int8 values quantized and dequantized again.

Converters recognise `dequantize -> operator -> quantize` as the int8 operator. For trying plans
out, and for training, the same can be had as fake quantization, which computes what int8 would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators below
from torch import Tensor, fx

from quantization.fake_quant import fake_quantize
from quantization.graph import (
    REARRANGEMENTS,
    WEIGHTED,
    BackendConfig,
    QuantizationPlan,
    aten,
    constant,
    inputs,
)
from quantization.ranges import LEVELS
from quantization.weights import (
    SMALLEST_SCALE,
    WEIGHT_LIMIT,
    adds_in_pairs,
    channel_axis,
    dequantize_weight,
    quantize_weight,
)

decomposed = torch.ops.quantized_decomposed

Range = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """value = step * (integer - zero_point), integers from `least` to `greatest`."""

    step: float
    zero_point: int
    least: int
    greatest: int
    dtype: torch.dtype


def activation_scale(value_range: Range, *, unsigned: bool) -> Scale:
    """The 256 levels over a range that contains zero."""
    low, high = value_range
    least, dtype = (0, torch.uint8) if unsigned else (-LEVELS // 2, torch.int8)
    greatest = least + LEVELS - 1
    step = max((high - low) / (LEVELS - 1), SMALLEST_SCALE)
    zero_point = min(max(round(least - low / step), least), greatest)
    return Scale(step, zero_point, least, greatest, dtype)


class QdqInserter:
    def __init__(
        self,
        module: fx.GraphModule,
        plan: QuantizationPlan,
        ranges: Mapping[fx.Node, Range],
        abilities: BackendConfig,
        means: Mapping[fx.Node, Tensor],
    ):
        self.ranges, self.abilities, self.means = ranges, abilities, means
        graph = fx.Graph()
        graph.set_codegen(module.graph._codegen)
        self.copies: dict[fx.Node, fx.Node] = {}
        for node in module.graph.nodes:
            self.copies[node] = graph.node_copy(node, lambda source: self.copies[source])
        self.module = fx.GraphModule(module, graph)
        self.plan = plan
        self._weights: dict[fx.Node, tuple[Tensor, Tensor]] = {}
        self._constants: dict[int, tuple[str, Tensor]] = {}

    def scale(self, node: fx.Node) -> Scale:
        return activation_scale(self.ranges[node], unsigned=self.abilities.unsigned)

    def get_constant(self, value: Tensor, user: fx.Node) -> fx.Node:
        """A tensor as a buffer, which is one for all that take the same tensor."""
        if id(value) not in self._constants:
            name = f"quantized_{len(self._constants)}"
            self.module.register_buffer(name, value)
            self._constants[id(value)] = name, value  # held, for its id to stay its own
        name, _ = self._constants[id(value)]
        with self.module.graph.inserting_before(user):
            return self.module.graph.get_attr(name)

    def corrected_bias(self, node: fx.Node, error: Tensor) -> Tensor | None:
        """The bias that makes up for the weight's rounding, on average over the images."""
        given = node.args[2] if len(node.args) > 2 else None
        bias = constant(self.module, given) if isinstance(given, fx.Node) else None
        if node not in self.means:
            return bias
        mean = self.means[node].to(error.dtype)
        if node.target is aten.conv2d.default:
            groups = len(mean) // error.shape[1]
            per_output = mean.reshape(groups, -1).repeat_interleave(len(error) // groups, dim=0)
            shift = (error.flatten(2).sum(2) * per_output).sum(1)
        else:
            shift = error @ mean
        return shift if bias is None else bias + shift

    def weight(self, node: fx.Node, *, simulate: bool) -> None:
        """Quantizes the weight of a node, and its bias as the runtime wants it."""
        copy = self.copies[node]
        source = node.args[1]
        assert isinstance(source, fx.Node)
        float_weight, axis = constant(self.module, source), channel_axis(node)
        if source not in self._weights:  # recursion uses one weight several times
            in_pairs = adds_in_pairs(node, float_weight, self.abilities)
            self._weights[source] = quantize_weight(float_weight, axis, in_pairs=in_pairs)
        weight, scales = self._weights[source]
        restored = dequantize_weight(weight, scales, axis)
        if simulate:
            copy.update_arg(1, self.get_constant(restored, copy))
        else:
            copy.update_arg(1, self._dequantized(weight, scales, axis, copy))
        if node.target is aten.matmul.default:
            return
        bias = self.corrected_bias(node, float_weight - restored)
        if bias is None:
            return
        if self.abilities.integer_bias and not simulate:
            steps = scales * self.scale(inputs(node)[0]).step
            rounded = torch.round(bias / steps).to(torch.int32)
            as_node = self._dequantized(rounded, steps, 0, copy)
        else:
            as_node = self.get_constant(bias, copy)
        copy.args = (*copy.args[:2], as_node, *copy.args[3:])

    def _dequantized(self, value: Tensor, scales: Tensor, axis: int, user: fx.Node) -> fx.Node:
        limits = torch.iinfo(value.dtype)
        least, greatest = (
            (-WEIGHT_LIMIT, WEIGHT_LIMIT) if value.dtype == torch.int8 else (limits.min, limits.max)
        )
        held = self.get_constant(value, user)
        steps = self.get_constant(scales, user)
        zeros = self.get_constant(torch.zeros(len(scales), dtype=torch.int64), user)
        with self.module.graph.inserting_before(user):
            return self.module.graph.call_function(
                decomposed.dequantize_per_channel.default,
                (held, steps, zeros, axis, least, greatest, value.dtype),
            )

    def leave_out(self, node: fx.Node, operand: fx.Node) -> None:
        """Gives the readers of a node its operand instead."""
        copy = self.copies[node]
        copy.replace_all_uses_with(self.copies[operand])
        self.module.graph.erase_node(copy)
        self.copies[node] = self.copies[operand]

    def activation(self, node: fx.Node, *, simulate: bool) -> None:
        """Quantizes a value for its int8 users; for all of them, if it is computed in int8."""
        copy, scale, graph = self.copies[node], self.scale(node), self.module.graph
        levels = (scale.step, scale.zero_point, scale.least, scale.greatest)
        on_integers = not simulate and self.abilities.int8_data_movement
        if on_integers and self._moves(node):
            quantized = copy
            if node.target is aten.pad.default:
                copy.args = (*copy.args[:2], "constant", float(scale.zero_point))
        else:
            with graph.inserting_after(copy):
                if simulate:
                    quantized = graph.call_function(fake_quantize, (copy, *levels))
                else:
                    quantized = graph.call_function(
                        decomposed.quantize_per_tensor.default, (copy, *levels, scale.dtype)
                    )
        for user in list(node.users):
            reader = self.copies[user]
            if simulate:
                if self._reads_integers(node, user):
                    reader.replace_input_with(copy, quantized)
            elif on_integers and self._moves(user):
                reader.replace_input_with(copy, quantized)
            elif self._reads_integers(node, user):
                self._dequantize(quantized, scale, reader, copy)

    def _reads_integers(self, node: fx.Node, user: fx.Node) -> bool:
        return node in self.plan.nodes or user in self.plan.nodes

    def _moves(self, node: fx.Node) -> bool:
        return node in self.plan.nodes and node.target in REARRANGEMENTS

    def _dequantize(
        self, quantized: fx.Node, scale: Scale, reader: fx.Node, instead_of: fx.Node
    ) -> None:
        """Gives `reader` the value; each its own, as partitioners take an operator with it."""
        levels = (scale.step, scale.zero_point, scale.least, scale.greatest, scale.dtype)
        with self.module.graph.inserting_before(reader):
            value = self.module.graph.call_function(
                decomposed.dequantize_per_tensor.default, (quantized, *levels)
            )
        reader.replace_input_with(instead_of, value)


def _clamps(plan: QuantizationPlan, ranges: Mapping[fx.Node, Range]) -> dict[fx.Node, fx.Node]:
    """ReLUs that rounding their results does as well, and what they take.

    Levels that begin at zero cut off what is negative.
    """
    found = {}
    for node in plan.nodes:
        if node.target is aten.relu.default and ranges.get(node, (-1.0, 0.0))[0] == 0:
            (operand,) = inputs(node)
            if len(operand.users) == 1:
                found[node] = operand
    return found


def insert(
    module: fx.GraphModule,
    plan: QuantizationPlan,
    ranges: Mapping[fx.Node, Range],
    abilities: BackendConfig,
    *,
    means: Mapping[fx.Node, Tensor],
    simulate: bool = False,
) -> fx.GraphModule:
    """The graph with a plan's values in int8.

    Args:
        module: traced, in float; it is left as it is.
        plan: made for its graph.
        ranges: of every int8 value; of none, where only weights are int8.
        abilities: those the plan was made for.
        means: input channels' means of the nodes whose weights' rounding is made up for in their
            biases.
        simulate: fake quantization instead of quantize and dequantize operators.
    """
    inserter = QdqInserter(module, plan, ranges, abilities, means)
    for node in module.graph.nodes:
        if node in plan.nodes and node.target in WEIGHTED:
            inserter.weight(node, simulate=simulate)
    clamps = _clamps(plan, ranges)
    for relu, operand in clamps.items():
        inserter.leave_out(relu, operand)
    rounded_later = set(clamps.values())
    for node in module.graph.nodes:
        if node in plan.scales and node in ranges and node not in rounded_later:
            inserter.activation(node, simulate=simulate)
    inserter.module.recompile()
    inserter.module.training = False  # `eval()` is refused by what torch.export traced
    return inserter.module
