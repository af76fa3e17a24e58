"""Passes over the flatbuffer that the converter wrote, each in place."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.targets.tflite import flatbuffer

_WEIGHT_INPUT = 1
_OPERATORS_WITH_WEIGHTS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
"""Operators whose weights may be float16 in every runtime and delegate."""

_DEQUANTIZE_FLOAT16 = 3
"""The first version of DEQUANTIZE that reads float16."""

_NO_BUFFER = 0
"""Index of the empty buffer, for tensors that are not constant."""

_TRANSPOSED_CONVOLUTION = 3
"""The version of TRANSPOSE_CONV with a bias and without an activation, the last that GPUs take."""


def store_weights_in_float16(model: Any) -> None:
    """Stores the weights of convolutions and linear layers as float16.

    A DEQUANTIZE follows each weight. CPU runtimes evaluate it once at preparation, and GPU
    delegates skip it. Other constants (anchors, coordinates, biases) keep their precision.
    """
    for graph in model.subgraphs:
        dequantize = [_store_in_float16(model, graph, i) for i in _weights(model, graph)]
        graph.operators[:0] = dequantize
    flatbuffer.drop_unused(model)


def _weights(model: Any, graph: Any) -> Iterator[int]:
    """Indices of constant float32 tensors that are only used as weights."""
    weights: set[int] = set()
    others: set[int] = set(graph.outputs)
    for operator in graph.operators:
        has_weights = flatbuffer.operator_name(model, operator) in _OPERATORS_WITH_WEIGHTS
        for position, index in enumerate(operator.inputs):
            (weights if has_weights and position == _WEIGHT_INPUT else others).add(int(index))
    for index in sorted(weights - others):
        tensor = graph.tensors[index]
        constant = model.buffers[tensor.buffer].data is not None
        if constant and tensor.type == schema.TensorType.FLOAT32:
            yield index


def _store_in_float16(model: Any, graph: Any, index: int) -> Any:
    """Moves a constant to a float16 tensor; returns the operator that dequantizes it."""
    tensor = graph.tensors[index]
    values = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.float32)
    half = schema.TensorT()
    half.name = tensor.name + b"_half"
    half.shape = tensor.shape
    half.type = schema.TensorType.FLOAT16
    half.buffer = flatbuffer.add_buffer(model, values.astype(np.float16).tobytes())
    graph.tensors.append(half)
    tensor.buffer = _NO_BUFFER  # the float32 data are removed once no other tensor shares them
    half_index = len(graph.tensors) - 1
    return flatbuffer.new_operator(model, "DEQUANTIZE", _DEQUANTIZE_FLOAT16, half_index, index)


def separate_activations(model: Any) -> None:
    """Takes the ReLU out of float transposed convolutions, in place.

    A transposed convolution with a fused activation has version 4. LiteRT's GPU accelerator takes
    versions up to 3; XNNPACK fuses the ReLU again.
    """
    none, relu = schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU
    version_3 = _TRANSPOSED_CONVOLUTION
    for graph in model.subgraphs:
        operators: list[Any] = []
        for operator in graph.operators:
            operators.append(operator)
            if flatbuffer.operator_name(model, operator) != "TRANSPOSE_CONV":
                continue
            output = int(operator.outputs[0])
            options = operator.builtinOptions
            floats = graph.tensors[output].type == schema.TensorType.FLOAT32
            if not floats or options.fusedActivationFunction != relu:
                continue
            options.fusedActivationFunction = none
            builtin = schema.BuiltinOperator.TRANSPOSE_CONV
            operator.opcodeIndex = flatbuffer.operator_code(model, builtin, version_3)
            before = copy.copy(graph.tensors[output])
            before.name = before.name + b"_before_relu"
            graph.tensors.append(before)
            index = len(graph.tensors) - 1
            operator.outputs = np.array([index], np.int32)
            operators.append(flatbuffer.new_operator(model, "RELU", 1, index, output))
        graph.operators = operators
    flatbuffer.drop_unused(model)


def widen_strided_kernels(model: Any) -> None:
    """Adds zeros to the 1x1 kernels of int8 convolutions with a stride, in place.

    LiteRT's GPU accelerator ignores the stride of an int8 convolution with a 1x1 kernel, and
    computes wrong values; it is right with 2x2 kernels. The results are the same integers.
    """
    for graph in model.subgraphs:
        widened: dict[int, int] = {}  # several convolutions may share one weight
        for operator in graph.operators:
            if flatbuffer.operator_name(model, operator) != "CONV_2D":
                continue
            options, index = operator.builtinOptions, int(operator.inputs[_WEIGHT_INPUT])
            weight = graph.tensors[index]
            strided = max(options.strideH, options.strideW) > 1
            is_point = tuple(weight.shape[1:3]) == (1, 1)
            if weight.type != schema.TensorType.INT8 or not strided or not is_point:
                continue
            if index not in widened:
                graph.tensors.append(_widened(model, weight))
                widened[index] = len(graph.tensors) - 1
            inputs = np.array(operator.inputs, np.int32)
            inputs[_WEIGHT_INPUT] = widened[index]
            operator.inputs = inputs
            # At most one row and column of padding, at the end, where the kernel is zero.
            options.padding = schema.Padding.SAME
    flatbuffer.drop_unused(model)


def _widened(model: Any, weight: Any) -> Any:
    """An int8 weight (K, 1, 1, C) as a new tensor (K, 2, 2, C) with zeros."""
    values = np.asarray(model.buffers[weight.buffer].data, np.uint8).view(np.int8)
    outputs, _height, _width, inputs = weight.shape
    wide = np.zeros((outputs, 2, 2, inputs), np.int8)
    wide[:, :1, :1] = values.reshape(weight.shape)
    tensor = copy.copy(weight)
    tensor.name = weight.name + b"_wide"
    tensor.shape = np.array(wide.shape, np.int32)
    tensor.buffer = flatbuffer.add_buffer(model, wide.tobytes())
    return tensor


def make_inputs_and_outputs_float(model: Any) -> None:
    """Makes int8 inputs and outputs of a `ModelT` float32, with QUANTIZE and DEQUANTIZE."""
    for index, graph in enumerate(model.subgraphs):
        signatures = [s for s in model.signatureDefs or [] if s.subgraphIndex == index]
        _make_float(model, graph, signatures)


def _make_float(model: Any, graph: Any, signatures: Sequence[Any]) -> None:
    """Does the same for one graph and its signatures."""
    inputs = {int(index): _float_twin(graph, int(index)) for index in graph.inputs}
    outputs = {int(index): _float_twin(graph, int(index)) for index in graph.outputs}
    quantize = [
        flatbuffer.new_operator(model, "QUANTIZE", 1, twin, index)
        for index, twin in inputs.items()
        if twin != index
    ]
    dequantize = [
        flatbuffer.new_operator(model, "DEQUANTIZE", 2, index, twin)
        for index, twin in outputs.items()
        if twin != index
    ]
    graph.operators = [*quantize, *graph.operators, *dequantize]
    graph.inputs = _replace(inputs, graph.inputs)
    graph.outputs = _replace(outputs, graph.outputs)
    for signature in signatures:
        for entry in signature.inputs:
            entry.tensorIndex = inputs[entry.tensorIndex]
        for entry in signature.outputs:
            entry.tensorIndex = outputs[entry.tensorIndex]


def _replace(twins: dict[int, int], indices: Sequence[int]) -> Any:
    return np.array([twins[int(index)] for index in indices], np.int32)


def _float_twin(graph: Any, index: int) -> int:
    """Adds a float32 tensor beside an int8 one, and gives it the int8 tensor's name.

    Returns:
        The index of the new tensor; `index` if the tensor is float32 already.
    """
    tensor = graph.tensors[index]
    if tensor.type != schema.TensorType.INT8:
        return index
    twin = copy.copy(tensor)
    twin.type = schema.TensorType.FLOAT32
    twin.quantization = None
    twin.buffer = _NO_BUFFER
    tensor.name = tensor.name + b"_int8"
    graph.tensors.append(twin)
    return len(graph.tensors) - 1
