"""Makes every operator of a TFLite graph with quantize and dequantize operators an integer one.

The converter's own pass refuses graphs in which integers of 8 and of 16 bits meet. So the converter
only lowers the graph, with a QUANTIZE and a DEQUANTIZE around each float operator, and this module
takes them together. What the converter added between two such operators gets the scale of its
neighbour.
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.errors import ConversionError
from export.targets.tflite import flatbuffer

_CHANNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
"""Axis of the output channels in the weight, by operator."""

_DATA_INPUTS = {"TRANSPOSE_CONV": 2}
"""Position of the map among the inputs of an operator with a weight; 0 if not given."""

_SAME_SCALE = {
    "AVERAGE_POOL_2D",
    "BROADCAST_TO",
    "CONCATENATION",
    "EXPAND_DIMS",
    "GATHER",
    "MAX_POOL_2D",
    "PACK",
    "PAD",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "SLICE",
    "SPLIT",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TILE",
    "TRANSPOSE",
    "UNPACK",
}
"""Operators whose kernels copy or average integers: inputs and outputs must share one scale."""

_VERSIONS: dict[str, tuple[int, int]] = {
    "ADD": (2, 3),
    "AVERAGE_POOL_2D": (2, 3),
    "BATCH_MATMUL": (2, 3),
    "CONCATENATION": (2, 3),
    "CONV_2D": (3, 4),
    "DEPTHWISE_CONV_2D": (3, 5),
    "DEQUANTIZE": (2, 3),
    "FULLY_CONNECTED": (4, 7),
    "LOGISTIC": (2, 3),
    "MAX_POOL_2D": (2, 3),
    "MEAN": (2, 3),
    "MUL": (2, 4),
    "PAD": (2, 3),
    "QUANTIZE": (2, 3),
    "RELU": (2, 3),
    "RESIZE_BILINEAR": (2, 4),
    "RESIZE_NEAREST_NEIGHBOR": (2, 4),
    "RSQRT": (2, 3),
    "SLICE": (2, 4),
    "SOFTMAX": (2, 3),
    "STRIDED_SLICE": (2, 4),
    "SUB": (2, 5),
    "TRANSPOSE": (2, 4),
    "TRANSPOSE_CONV": (2, 4),
}
"""The first versions of operators with a form of 8 bits, and of 16 bits."""

_INTEGERS: dict[int, np.dtype[Any]] = {
    schema.TensorType.INT8: np.dtype(np.int8),
    schema.TensorType.INT16: np.dtype(np.int16),
}
"""Types of activations."""

_WEIGHT_LIMIT = 127


def float_operators(model: Any) -> dict[str, int]:
    """The operators of a `ModelT` that compute in float, counted by type.

    QUANTIZE at the inputs and DEQUANTIZE at the outputs are not among them.
    """
    counts = Counter[str]()
    for graph in model.subgraphs:
        inputs, outputs = set(map(int, graph.inputs)), set(map(int, graph.outputs))
        for operator in graph.operators:
            name = flatbuffer.operator_name(model, operator)
            floats = {
                int(index)
                for index in (*operator.inputs, *operator.outputs)
                if index >= 0 and graph.tensors[index].type == schema.TensorType.FLOAT32
            }
            at_the_ends = (name == "QUANTIZE" and floats <= inputs) or (
                name == "DEQUANTIZE" and floats <= outputs
            )
            if floats and not at_the_ends:
                counts[name] += 1
    return dict(counts)


def make_integers(model: Any) -> None:
    """Makes the operators of a `ModelT` integer ones, in place; its inputs and outputs stay float.

    Args:
        model: converted with a QUANTIZE and a DEQUANTIZE for every value. Weights are float
            constants on at most 255 levels for each output channel.

    Raises:
        ConversionError: an operator remains that computes in float.
    """
    for graph in model.subgraphs:
        _IntegerGraph(model, graph).rewrite()
    flatbuffer.drop_unused(model)
    left = float_operators(model)
    if left:
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(left.items()))
        raise ConversionError(f"TFLite: operators that compute in float remain: {listed}")


def make_inputs_and_outputs_integer(model: Any) -> None:
    """Takes QUANTIZE at the inputs and DEQUANTIZE at the outputs of a `ModelT` away.

    Raises:
        ConversionError: an input or output has no single integer form.
    """
    for index, graph in enumerate(model.subgraphs):
        twins: dict[int, int] = {}
        operators = []
        for operator in graph.operators:
            name = flatbuffer.operator_name(model, operator)
            source, result = int(operator.inputs[0]), int(operator.outputs[0])
            if name == "QUANTIZE" and source in graph.inputs and source not in twins:
                twins[source] = result
            elif name == "DEQUANTIZE" and result in graph.outputs:
                twins[result] = source
            else:
                operators.append(operator)
        floats = {*map(int, graph.inputs), *map(int, graph.outputs)}
        read = {int(i) for operator in operators for i in operator.inputs}
        if floats - twins.keys() or read & twins.keys():
            raise ConversionError("TFLite: an input or output has no integer form of its own")
        graph.operators = operators
        graph.inputs, graph.outputs = (
            np.array([twins[int(i)] for i in ends], np.int32)
            for ends in (graph.inputs, graph.outputs)
        )
        for signature in model.signatureDefs or []:
            if signature.subgraphIndex == index:
                for entry in (*signature.inputs, *signature.outputs):
                    entry.tensorIndex = twins[entry.tensorIndex]
    flatbuffer.drop_unused(model)


class _IntegerGraph:
    """The rewrite of one graph.

    Args:
        model: the file.
        graph: one of its graphs.
    """

    def __init__(self, model: Any, graph: Any):
        self._model, self._graph = model, graph
        # Float tensor to the integer tensor that replaces it, or one tensor to its equal.
        self._twins: dict[int, int] = {}
        self._transposes: dict[int, Any] = {}  # by their results
        self._weights: dict[tuple[int, int], int] = {}
        self._operators: list[Any] = []

    def rewrite(self) -> None:
        """Rewrites the graph."""
        operators = self._without_quantization()
        self._scales_of_readers(operators)
        for operator in operators:
            self._scales_of_inputs(operator)
            self._make_integer(operator)
        self._graph.operators = self._operators
        self._drop_unread_transposes()

    # Which integer tensor replaces a float tensor.

    def _without_quantization(self) -> list[Any]:
        """The operators that compute; fills `_twins` from the others.

        A value that is quantized again, in other bits, keeps a QUANTIZE from integers to integers.
        """
        operators = []
        inputs, outputs = set(map(int, self._graph.inputs)), set(map(int, self._graph.outputs))
        for operator in self._graph.operators:
            name = self._name(operator)
            source, result = int(operator.inputs[0]), int(operator.outputs[0])
            if name == "DEQUANTIZE":
                self._twins[result] = source
                if result not in outputs:
                    continue
            elif name == "QUANTIZE" and self._is_constant(source):
                self._quantize_constant(source, result)
                continue
            elif name == "QUANTIZE" and source not in self._twins and source not in inputs:
                self._twins[source] = result
                continue
            operators.append(operator)
        return operators

    def _scales_of_readers(self, operators: list[Any]) -> None:
        """Gives results that only pass on the scale that they have once they are quantized."""
        readers: dict[int, list[Any]] = defaultdict(list)
        for operator in reversed(operators):
            for index in map(int, operator.outputs):
                if self._is_unknown(index):
                    scales = (
                        self._twins[int(reader.outputs[0])]
                        for reader in readers[index]
                        if self._name(reader) in _SAME_SCALE
                        and int(reader.outputs[0]) in self._twins
                    )
                    like = next(scales, None)
                    if like is not None:
                        self._twins[index] = self._new_tensor(index, like)
            for index in map(int, operator.inputs):
                readers[index].append(operator)

    def _scales_of_inputs(self, operator: Any) -> None:
        """Gives the results of an operator that moves values the scale of its input."""
        if self._name(operator) not in _SAME_SCALE:
            return
        known = [self._twins[int(i)] for i in operator.inputs if int(i) in self._twins]
        for index in map(int, operator.outputs):
            if known and self._is_unknown(index):
                self._twins[index] = self._new_tensor(index, known[0])

    # Operators.

    def _make_integer(self, operator: Any) -> None:
        """Appends the integer form of an operator."""
        name = self._name(operator)
        operator.inputs = np.array([self._twin(int(i)) for i in operator.inputs], np.int32)
        if name == "DEQUANTIZE":
            self._append(operator, int(operator.inputs[0]))
            return
        operator.outputs = np.array([self._twin(int(i)) for i in operator.outputs], np.int32)
        if name in _CHANNEL_AXES:
            self._quantize_parameters(operator, name)
        elif name in _SAME_SCALE:
            self._append_with_same_scale(operator)
            return
        elif name != "QUANTIZE":
            self._quantize_operands(operator)
        self._append(operator, int(operator.outputs[0]))

    def _twin(self, index: int) -> int:
        while index in self._twins:
            index = self._twins[index]
        return index

    def _append(self, operator: Any, value: int) -> None:
        """Appends an operator in the version for the bits of one of its values."""
        name = self._name(operator)
        if hasattr(operator.builtinOptions, "potScaleInt16"):
            operator.builtinOptions.potScaleInt16 = False
        code = copy.copy(self._model.operatorCodes[operator.opcodeIndex])
        if name in _VERSIONS and self._tensor(value).type in _INTEGERS:
            wide = self._tensor(value).type == schema.TensorType.INT16
            code.version = max(code.version, _VERSIONS[name][wide])
        operator.opcodeIndex = flatbuffer.operator_code(
            self._model, max(code.builtinCode, code.deprecatedBuiltinCode), code.version
        )
        self._operators.append(operator)

    def _append_with_same_scale(self, operator: Any) -> None:
        """Appends an operator that moves values, with a QUANTIZE wherever scales differ."""
        result = int(operator.outputs[0])
        if self._tensor(result).type not in _INTEGERS:
            self._operators.append(operator)  # float_operators reports it
            return
        for position, index in enumerate(map(int, operator.inputs)):
            if index in self._graph.inputs and index not in self._twins:
                # An image is moved as integers, not before it is quantized.
                self._twins[index] = self._new_tensor(index, result)
                self._append_quantize(index, self._twins[index])
            operator.inputs[position] = self._twin(index)
        if self._name(operator) == "TRANSPOSE" and self._undoes_another(operator):
            return
        sources = [
            (position, int(index))
            for position, index in enumerate(operator.inputs)
            if index >= 0 and self._tensor(int(index)).type in _INTEGERS
        ]
        if len(sources) == len(operator.outputs) == 1:
            ((_, source),) = sources
            if self._key(source) != self._key(result):
                moved = self._new_tensor(result, source)
                operator.outputs = np.array([moved], np.int32)
                self._append(operator, source)
                self._append_quantize(moved, result)
                return
        for position, source in sources:
            if self._key(source) != self._key(result):
                operator.inputs[position] = self._new_tensor(source, result)
                self._append_quantize(source, int(operator.inputs[position]))
        self._append(operator, result)

    def _undoes_another(self, transpose: Any) -> bool:
        """Whether an operator transposes back; then its readers read the value before both.

        The converter removes such pairs only where nothing is quantized between them.
        """
        source, result = int(transpose.inputs[0]), int(transpose.outputs[0])
        first = self._transposes.get(source)
        self._transposes[result] = transpose
        if first is None or self._key(int(first.inputs[0])) != self._key(result):
            return False
        axes = self._axes(first)[self._axes(transpose)]
        if not np.array_equal(axes, np.arange(len(axes))):
            return False
        self._twins[result] = int(first.inputs[0])
        return True

    def _axes(self, transpose: Any) -> NDArray[np.int32]:
        buffer = self._model.buffers[self._tensor(int(transpose.inputs[1])).buffer]
        return np.asarray(buffer.data, np.uint8).view(np.int32)

    def _drop_unread_transposes(self) -> None:
        """Removes the transposes that were undone for all their readers."""
        read = set(map(int, self._graph.outputs))
        read.update(int(index) for operator in self._operators for index in operator.inputs)
        self._graph.operators = [
            operator
            for operator in self._operators
            if self._name(operator) != "TRANSPOSE" or int(operator.outputs[0]) in read
        ]

    def _append_quantize(self, source: int, result: int) -> None:
        self._append(flatbuffer.new_operator(self._model, "QUANTIZE", 2, source, result), result)

    # Constants.

    def _quantize_parameters(self, operator: Any, name: str) -> None:
        """Quantizes the weight and the bias of a layer."""
        data = int(operator.inputs[_DATA_INPUTS.get(name, 0)])
        axis = _CHANNEL_AXES[name]
        weight = int(operator.inputs[1])
        if not self._is_constant(weight) or self._tensor(data).type not in _INTEGERS:
            return
        if (weight, axis) not in self._weights:
            self._weights[weight, axis] = self._integer_weight(weight, axis)
        operator.inputs[1] = self._weights[weight, axis]
        position = _DATA_INPUTS.get(name, 0) + (1 if name == "TRANSPOSE_CONV" else 2)
        if len(operator.inputs) <= position or operator.inputs[position] < 0:
            return
        scales = self._quantization(int(operator.inputs[1])).scale
        wide = self._tensor(data).type == schema.TensorType.INT16
        operator.inputs[position] = self._integer_bias(
            int(operator.inputs[position]), self._quantization(data).scale[0] * scales, wide=wide
        )

    def _integer_weight(self, index: int, axis: int) -> int:
        """The int8 form of a weight, whose greatest value in each channel is 127 scales."""
        values = self._floats(index)
        others = tuple(dim for dim in range(values.ndim) if dim != axis)
        scales = np.abs(values).max(axis=others) / np.float32(_WEIGHT_LIMIT)
        scales[scales == 0] = 1
        shape = [-1 if dim == axis else 1 for dim in range(values.ndim)]
        integers = np.rint(values / scales.reshape(shape)).astype(np.int8)
        return self._new_constant(index, integers, schema.TensorType.INT8, scales, axis)

    def _integer_bias(self, index: int, scales: NDArray[np.float32], *, wide: bool) -> int:
        """The integer form of a bias: 32 bits, or 64 beside activations of 16 bits."""
        dtype, kind = (
            (np.int64, schema.TensorType.INT64) if wide else (np.int32, schema.TensorType.INT32)
        )
        integers = np.rint(self._floats(index).astype(np.float64) / scales)
        limit = 2**31 - 1  # kernels for 16 bits refuse greater ones
        integers = integers.clip(-limit, limit).astype(dtype)
        return self._new_constant(index, integers, kind, scales, 0)

    def _quantize_operands(self, operator: Any) -> None:
        """Quantizes constants that the converter added, such as factors, in the bits of the result.

        Each has a scale of its own: a single number is exact.
        """
        result = self._tensor(int(operator.outputs[0]))
        if result.type not in _INTEGERS:
            return
        for position, index in enumerate(map(int, operator.inputs)):
            if self._is_constant(index) and self._tensor(index).type == schema.TensorType.FLOAT32:
                values, dtype = self._floats(index), _INTEGERS[result.type]
                limit = np.iinfo(dtype).max
                scale = np.float32(max(float(np.abs(values).max()), 1e-9) / limit)
                integers = np.rint(values / scale).clip(-limit, limit).astype(dtype)
                scales = np.array([scale], np.float32)
                operator.inputs[position] = self._new_constant(
                    index, integers, result.type, scales, 0
                )

    def _quantize_constant(self, source: int, result: int) -> None:
        """Stores a constant in the integer tensor that a QUANTIZE would make of it."""
        tensor, params = self._tensor(result), self._quantization(result)
        dtype = _INTEGERS[tensor.type]
        limits = np.iinfo(dtype)
        levels = np.rint(self._floats(source).astype(np.float64) / params.scale[0])
        integers = (levels + params.zeroPoint[0]).clip(limits.min, limits.max).astype(dtype)
        tensor.buffer = flatbuffer.add_buffer(self._model, integers.tobytes())

    # Tensors.

    def _name(self, operator: Any) -> str:
        return flatbuffer.operator_name(self._model, operator)

    def _tensor(self, index: int) -> Any:
        return self._graph.tensors[index]

    def _quantization(self, index: int) -> Any:
        return self._tensor(index).quantization

    def _key(self, index: int) -> tuple[Any, ...]:
        """Equal for two activations if their integers mean the same."""
        params = self._quantization(index)
        return self._tensor(index).type, float(params.scale[0]), int(params.zeroPoint[0])

    def _is_constant(self, index: int) -> bool:
        return index >= 0 and self._model.buffers[self._tensor(index).buffer].data is not None

    def _is_unknown(self, index: int) -> bool:
        """Whether a float value has no integer tensor yet."""
        return index not in self._twins and self._tensor(index).type == schema.TensorType.FLOAT32

    def _floats(self, index: int) -> NDArray[np.float32]:
        tensor = self._tensor(index)
        data = np.asarray(self._model.buffers[tensor.buffer].data, np.uint8)
        return data.view(np.float32).reshape(np.asarray(tensor.shape, int))

    def _new_tensor(self, named: int, like: int) -> int:
        """A tensor with the shape and name of one tensor, and the integers of another."""
        tensor = copy.copy(self._tensor(named))
        tensor.type, tensor.quantization = self._tensor(like).type, self._quantization(like)
        tensor.buffer = 0
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _new_constant(
        self, named: int, values: NDArray[Any], kind: int, scales: NDArray[np.float32], axis: int
    ) -> int:
        """A constant beside a float one, symmetric."""
        tensor = copy.copy(self._tensor(named))
        tensor.type = kind
        tensor.buffer = flatbuffer.add_buffer(self._model, values.tobytes())
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = scales.astype(np.float32)
        tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
        tensor.quantization.quantizedDimension = axis
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1
