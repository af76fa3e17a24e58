"""Inserts quantize and dequantize operators into a traced model, as a plan says.

Converters recognise `dequantize -> operator -> quantize` as the int8 operator. Fake quantization
can be inserted instead: it computes the same results in float, many times faster, and has
gradients. The search and fine-tuning use it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators below
from torch import Tensor, fx

from quantization.backend_config import BackendConfig
from quantization.fake_quant import fake_quantize
from quantization.graph import DATA_MOVEMENT_OPS, WEIGHTED_OPS, aten, constant, float_inputs
from quantization.plan import QuantizationPlan
from quantization.quant_params import QuantParams, activation_params
from quantization.ranges import Range
from quantization.weights import (
    WEIGHT_LIMIT,
    adds_in_pairs,
    channel_axis,
    dequantize_weight,
    quantize_weight,
)

decomposed = torch.ops.quantized_decomposed


def insert_qdq(
    module: fx.GraphModule,
    plan: QuantizationPlan,
    ranges: Mapping[fx.Node, Range],
    backend_config: BackendConfig,
    *,
    means: Mapping[fx.Node, Tensor],
    simulate: bool = False,
) -> fx.GraphModule:
    """A copy of a graph with the values of a plan in int8.

    Args:
        module: traced, in float; left as it is.
        plan: made for its graph.
        ranges: of every int8 value; empty where only weights are int8.
        backend_config: the one that the plan was made for.
        means: the mean of each input channel, by weighted node. The bias of these nodes is
            corrected for the rounding of the weight.
        simulate: insert fake quantization instead of quantize and dequantize operators.
    """
    inserter = QdqInserter(module, plan, ranges, backend_config, means, simulate=simulate)
    for node in module.graph.nodes:
        if node in plan.int8_nodes and node.target in WEIGHTED_OPS:
            inserter.quantize_weight(node)
    fused_relus = _fused_relus(plan, ranges)
    for relu, operand in fused_relus.items():
        inserter.remove(relu, operand)
    fused_operands = set(fused_relus.values())  # quantized after the ReLU, not before it
    for node in module.graph.nodes:
        if node in plan.scale_groups and node in ranges and node not in fused_operands:
            inserter.quantize_activation(node)
    inserter.module.recompile()
    inserter.module.training = False  # modules that torch.export traced refuse `eval()`
    return inserter.module


def _fused_relus(plan: QuantizationPlan, ranges: Mapping[fx.Node, Range]) -> dict[fx.Node, fx.Node]:
    """ReLUs that quantizing their results replaces, with their operands.

    Where the range of a ReLU's result begins at zero, quantizing cuts off negative values.
    """
    fused = {}
    for node in plan.int8_nodes:
        if node.target is aten.relu.default and node in ranges and ranges[node][0] == 0:
            (operand,) = float_inputs(node)
            if len(operand.users) == 1:
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
        backend_config: BackendConfig,
        means: Mapping[fx.Node, Tensor],
        *,
        simulate: bool,
    ):
        self._plan, self._ranges, self._means = plan, ranges, means
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

    def quantize_activation(self, node: fx.Node) -> None:
        """Quantizes a value for its int8 readers; for all readers if it is computed in int8."""
        copy, params = self._copies[node], self._params(node)
        if self._runs_on_integers(node):
            quantized = copy
            if node.target is aten.pad.default:
                copy.args = (*copy.args[:2], "constant", float(params.zero_point))
        else:
            quantized = self._quantize(copy, params)
        for user in list(node.users):
            reader = self._copies[user]
            if self._runs_on_integers(user):
                reader.replace_input_with(copy, quantized)
            elif node in self._plan.int8_nodes or user in self._plan.int8_nodes:
                value = quantized if self._simulate else self._dequantize(quantized, params, reader)
                reader.replace_input_with(copy, value)

    def remove(self, node: fx.Node, operand: fx.Node) -> None:
        """Removes a node; its readers read its operand instead."""
        copy = self._copies[node]
        copy.replace_all_uses_with(self._copies[operand])
        self.module.graph.erase_node(copy)
        self._copies[node] = self._copies[operand]

    # Weights and biases.

    def _quantize_bias(self, node: fx.Node, weight_error: Tensor, weight_scales: Tensor) -> None:
        copy = self._copies[node]
        bias = self._corrected_bias(node, weight_error)
        if bias is None:
            return
        if self._backend_config.integer_bias and not self._simulate:
            scales = weight_scales * self._params(float_inputs(node)[0]).scale
            integers = torch.round(bias / scales).to(torch.int32)
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

    def _params(self, node: fx.Node) -> QuantParams:
        return activation_params(self._ranges[node], unsigned=self._backend_config.unsigned)

    def _runs_on_integers(self, node: fx.Node) -> bool:
        """Whether a node moves integers as they are, without dequantizing them first."""
        return (
            not self._simulate
            and self._backend_config.int8_data_movement
            and node in self._plan.int8_nodes
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
