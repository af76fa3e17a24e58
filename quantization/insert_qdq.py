"""Inserts quantize and dequantize operators into a traced model, as a plan says.

Converters recognise `dequantize -> operator -> quantize` as the int8 operator. Fake quantization
can be inserted instead: it computes the same results in float, many times faster, and has
gradients. The search and fine-tuning use it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators below
from torch import Tensor, fx

from quantization.backend_config import BackendConfig
from quantization.fake_quant import fake_quantize
from quantization.graph import (
    DATA_MOVEMENT_OPS,
    PRODUCTS,
    aten,
    constant,
    constant_operands,
    float_inputs,
    has_weight,
    parameters,
)
from quantization.plan import QuantizationPlan
from quantization.quant_params import Bits, QuantParams, activation_params, symmetric_params
from quantization.ranges import Range
from quantization.weights import (
    WEIGHT_LIMIT,
    adds_in_pairs,
    channel_axis,
    dequantize_weight,
    quantize_weight,
)

decomposed = torch.ops.quantized_decomposed

_MAX_INT32 = 2**31 - 1


def insert_qdq(
    module: fx.GraphModule,
    plan: QuantizationPlan,
    ranges: Mapping[fx.Node, Range],
    backend_config: BackendConfig,
    *,
    means: Mapping[fx.Node, Tensor],
    wide_ranges: Mapping[fx.Node, Range] = MappingProxyType({}),
    simulate: bool = False,
) -> fx.GraphModule:
    """A copy of a graph with the values of a plan in int8.

    Args:
        module: traced, in float; left as it is.
        plan: made for its graph.
        ranges: of every integer value of 8 bits; empty where only weights are int8.
        wide_ranges: of every integer value of 16 bits.
        backend_config: the one that the plan was made for.
        means: the mean of each input channel, by weighted node. The bias of these nodes is
            corrected for the rounding of the weight.
        simulate: insert fake quantization instead of quantize and dequantize operators.
    """
    inserter = QdqInserter(
        module, plan, ranges, wide_ranges, backend_config, means, simulate=simulate
    )
    for node in module.graph.nodes:
        if node in plan.integer_nodes and has_weight(node):
            inserter.quantize_weight(node)
        elif node in plan.integer_nodes and node.target is aten.layer_norm.default:
            inserter.quantize_norm(node)
    fused_relus = _fused_relus(plan, ranges, backend_config)
    for relu, operand in fused_relus.items():
        inserter.remove(relu, operand)
    fused_operands = set(fused_relus.values())  # quantized after the ReLU, not before it
    for node in module.graph.nodes:
        if node in plan.scale_groups and node in ranges and node not in fused_operands:
            inserter.quantize_activation(node)
    inserter.module.recompile()
    inserter.module.training = False  # modules that torch.export traced refuse `eval()`
    return inserter.module


def _fused_relus(
    plan: QuantizationPlan, ranges: Mapping[fx.Node, Range], backend_config: BackendConfig
) -> dict[fx.Node, fx.Node]:
    """ReLUs that quantizing their results replaces, with their operands.

    Where the range of a ReLU's result begins at zero, quantizing cuts off negative values; not if
    the integers are symmetric.
    """
    fused = {}
    for node in plan.integer_nodes:
        if backend_config.wide_symmetric and plan.bits[node] == 16:
            continue
        if node.target is aten.relu.default and node in ranges and ranges[node][0] == 0:
            (operand,) = float_inputs(node)
            if len(operand.users) == 1 and plan.bits[operand] == plan.bits[node]:
                fused[node] = operand
    return fused


class QdqInserter:
    """Copies a graph and quantizes the weights and activations of the copy, one by one.

    Methods take nodes of the original graph.

    Attributes:
        module: the copy.
    """

    def __init__(
        self,
        module: fx.GraphModule,
        plan: QuantizationPlan,
        ranges: Mapping[fx.Node, Range],
        wide_ranges: Mapping[fx.Node, Range],
        backend_config: BackendConfig,
        means: Mapping[fx.Node, Tensor],
        *,
        simulate: bool,
    ):
        self._plan, self._means = plan, means
        self._ranges: dict[Bits, Mapping[fx.Node, Range]] = {8: ranges, 16: wide_ranges}
        self._backend_config, self._simulate = backend_config, simulate
        graph = fx.Graph()
        graph.set_codegen(module.graph._codegen)
        self._copies: dict[fx.Node, fx.Node] = {}
        for node in module.graph.nodes:
            self._copies[node] = graph.node_copy(node, lambda source: self._copies[source])
        self.module = fx.GraphModule(module, graph)
        self._weights: dict[fx.Node, tuple[Tensor, Tensor]] = {}
        self._buffers: dict[int, tuple[str, Tensor]] = {}

    def quantize_weight(self, node: fx.Node) -> None:
        """Quantizes the weight of a node, and its bias in the form that the runtime expects."""
        copy = self._copies[node]
        source = node.args[1]
        assert isinstance(source, fx.Node)
        float_weight, axis = constant(self.module, source), channel_axis(node)
        if source not in self._weights:  # recursion uses one weight several times
            in_pairs = adds_in_pairs(node, float_weight, self._backend_config)
            self._weights[source] = quantize_weight(float_weight, axis, in_pairs=in_pairs)
        weight, scales = self._weights[source]
        restored = dequantize_weight(weight, scales, axis)
        if self._simulate:
            copy.update_arg(1, self._buffer(restored, copy))
        else:
            copy.update_arg(1, self._dequantized_constant(weight, scales, axis, copy))
        if node.target is not aten.matmul.default:  # a product without bias
            self._quantize_bias(node, float_weight - restored, scales)

    def quantize_norm(self, node: fx.Node) -> None:
        """Quantizes weight and bias of a layer normalisation, with one scale each.

        The HTP takes a weight of 8 bits only, also beside activations of 16.
        """
        copy = self._copies[node]
        params = self._params(float_inputs(node)[0], self._plan.bits[node])
        weight_node, bias_node = parameters(node)
        weight = constant(self.module, weight_node)
        low, high = map(float, weight.aminmax())
        weight_params = self._params_of((min(low, 0.0), max(high, 0.0)), 8)
        copy.update_arg(2, self._rounded_constant(weight, weight_params, copy))
        bias = constant(self.module, bias_node)
        scale = max(params.scale * weight_params.scale, float(bias.abs().max()) / _MAX_INT32)
        bias_params = QuantParams(scale, 0, -_MAX_INT32, _MAX_INT32, torch.int32)
        copy.update_arg(3, self._rounded_constant(bias, bias_params, copy))

    def quantize_activation(self, node: fx.Node) -> None:
        """Quantizes a value for its integer readers; for all readers if it is an integer node."""
        if node.op == "get_attr":
            self._quantize_constant(node)
            return
        copy, params = self._copies[node], self._params(node, self._plan.bits[node])
        if self._simulate and self._only_moves(node):
            quantized = copy  # its values are rounded already
        elif self._runs_on_integers(node):
            quantized = copy
            if node.target is aten.pad.default:
                copy.args = (*copy.args[:2], "constant", float(params.zero_point))
        else:
            quantized = self._quantize(copy, params)
        for user in list(node.users):
            reader = self._copies[user]
            if self._runs_on_integers(user):
                reader.replace_input_with(copy, quantized)
            elif node in self._plan.integer_nodes or user in self._plan.integer_nodes:
                value = quantized if self._simulate else self._dequantize(quantized, params, reader)
                reader.replace_input_with(copy, self._converted(value, node, user))

    def remove(self, node: fx.Node, operand: fx.Node) -> None:
        """Removes a node; its readers read its operand instead."""
        copy = self._copies[node]
        copy.replace_all_uses_with(self._copies[operand])
        self.module.graph.erase_node(copy)
        self._copies[node] = self._copies[operand]

    def _converted(self, value: fx.Node, node: fx.Node, user: fx.Node) -> fx.Node:
        """The value of a node in the bits of its reader."""
        bits = self._plan.bits.get(user, self._plan.bits[node])
        params = self._params(node, bits)
        is_right_operand = user.target in PRODUCTS and user.args[1] is node
        if bits == 16 and is_right_operand and not self._backend_config.wide_symmetric:
            params = self._right_operand_params(node)
        elif bits == self._plan.bits[node]:
            return value
        rounded = self._quantize(value, params)
        return rounded if self._simulate else self._dequantize(rounded, params, self._copies[user])

    # Weights and biases.

    def _quantize_constant(self, node: fx.Node) -> None:
        """Quantizes a constant for each of its readers that takes it as an operand."""
        value = constant(self.module, node)
        for user in list(node.users):
            if node in constant_operands(user):
                params = self._params(node, self._plan.bits[user])
                reader = self._copies[user]
                rounded = self._rounded_constant(value, params, reader)
                reader.replace_input_with(self._copies[node], rounded)

    def _rounded_constant(self, value: Tensor, params: QuantParams, reader: fx.Node) -> fx.Node:
        """A constant on the levels of some parameters; integers with their dequantization."""
        levels = torch.round(value.double() / params.scale) + params.zero_point
        integers = levels.clamp(params.quant_min, params.quant_max)
        if self._simulate:
            restored = ((integers - params.zero_point) * params.scale).float()
            return self._buffer(restored, reader)
        stored = self._buffer(integers.to(params.dtype), reader)
        return self._dequantize(stored, params, reader)

    def _quantize_bias(self, node: fx.Node, weight_error: Tensor, weight_scales: Tensor) -> None:
        copy = self._copies[node]
        bias = self._corrected_bias(node, weight_error)
        if bias is None:
            return
        if self._backend_config.integer_bias and not self._simulate:
            source = float_inputs(node)[0]
            scales = weight_scales * self._params(source, self._plan.bits[node]).scale
            integers = torch.round(bias / scales).clamp(-_MAX_INT32, _MAX_INT32).to(torch.int32)
            bias_node = self._dequantized_constant(integers, scales, 0, copy)
        else:
            bias_node = self._buffer(bias, copy)
        copy.args = (*copy.args[:2], bias_node, *copy.args[3:])

    def _corrected_bias(self, node: fx.Node, weight_error: Tensor) -> Tensor | None:
        """The bias, plus the mean error that the weight's rounding makes on calibration images."""
        bias_node = node.args[2] if len(node.args) > 2 else None
        bias = constant(self.module, bias_node) if isinstance(bias_node, fx.Node) else None
        if node not in self._means:
            return bias
        mean = self._means[node].to(weight_error.dtype)
        if node.target is aten.conv2d.default:
            groups = len(mean) // weight_error.shape[1]
            per_output = mean.reshape(groups, -1)
            per_output = per_output.repeat_interleave(len(weight_error) // groups, dim=0)
            correction = (weight_error.flatten(2).sum(2) * per_output).sum(1)
        elif node.target is aten.conv_transpose2d.input:  # ungrouped, (in, out, kh, kw)
            stride = node.args[3]
            assert isinstance(stride, list)  # an output pixel sees one tap of `stride` in each axis
            correction = mean @ weight_error.flatten(2).sum(2) / math.prod(stride)
        else:
            correction = weight_error @ mean
        return correction if bias is None else bias + correction

    def _dequantized_constant(
        self, integers: Tensor, scales: Tensor, axis: int, user: fx.Node
    ) -> fx.Node:
        """An integer weight or bias with the operator that dequantizes it."""
        if integers.dtype == torch.int8:
            quant_min, quant_max = -WEIGHT_LIMIT, WEIGHT_LIMIT
        else:
            limits = torch.iinfo(integers.dtype)
            quant_min, quant_max = limits.min, limits.max
        zero_points = torch.zeros(len(scales), dtype=torch.int64)
        buffers = [self._buffer(value, user) for value in (integers, scales, zero_points)]
        with self.module.graph.inserting_before(user):
            return self.module.graph.call_function(
                decomposed.dequantize_per_channel.default,
                (*buffers, axis, quant_min, quant_max, integers.dtype),
            )

    def _buffer(self, value: Tensor, user: fx.Node) -> fx.Node:
        """A node that reads a tensor, which is registered once for all its users."""
        if id(value) not in self._buffers:
            name = f"quantized_{len(self._buffers)}"
            self.module.register_buffer(name, value)
            self._buffers[id(value)] = name, value  # a reference, so that no other takes the id
        name, _ = self._buffers[id(value)]
        with self.module.graph.inserting_before(user):
            return self.module.graph.get_attr(name)

    # Activations.

    def _params(self, node: fx.Node, bits: Bits) -> QuantParams:
        return self._params_of(self._ranges[bits][node], bits)

    def _params_of(self, value_range: Range, bits: Bits) -> QuantParams:
        if bits == 16 and self._backend_config.wide_symmetric:
            return symmetric_params(value_range)
        return activation_params(value_range, unsigned=self._backend_config.unsigned, bits=bits)

    def _right_operand_params(self, node: fx.Node) -> QuantParams:
        """Of the right operand of a product in 16 bits.

        The HTP multiplies 16 by 16 bits if the right operand is signed and symmetric. It silently
        rounds an unsigned one to 8 bits.
        """
        if not self._backend_config.wide_products:
            return self._params(node, 8)
        return symmetric_params(self._ranges[16][node])

    def _only_moves(self, node: fx.Node) -> bool:
        """Whether a node only moves values that are rounded to its own levels already."""
        groups = self._plan.scale_groups
        return (
            node in self._plan.integer_nodes
            and node.target in DATA_MOVEMENT_OPS
            and all(
                source in self._plan.integer_nodes and groups[source] is groups[node]
                for source in node.all_input_nodes
            )
        )

    def _runs_on_integers(self, node: fx.Node) -> bool:
        """Whether a node moves integers as they are, without dequantizing them first."""
        return (
            not self._simulate
            and self._backend_config.int8_data_movement
            and node in self._plan.integer_nodes
            and node.target in DATA_MOVEMENT_OPS
        )

    def _quantize(self, copy: fx.Node, params: QuantParams) -> fx.Node:
        """Rounds a value: quantizes it, or quantizes and dequantizes it in the simulation."""
        graph = self.module.graph
        args = (copy, params.scale, params.zero_point, params.quant_min, params.quant_max)
        with graph.inserting_after(copy):
            if self._simulate:
                return graph.call_function(fake_quantize, args)
            return graph.call_function(
                decomposed.quantize_per_tensor.default, (*args, params.dtype)
            )

    def _dequantize(self, quantized: fx.Node, params: QuantParams, reader: fx.Node) -> fx.Node:
        """Dequantizes a value for one reader: partitioners take both operators together."""
        args = (quantized, params.scale, params.zero_point, params.quant_min, params.quant_max)
        with self.module.graph.inserting_before(reader):
            return self.module.graph.call_function(
                decomposed.dequantize_per_tensor.default, (*args, params.dtype)
            )
