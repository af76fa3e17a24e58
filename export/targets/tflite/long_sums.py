"""Splits the long sums of linear layers, for GPUs that add in float16.

Every addition to a sum in float16 rounds it to 11 bits. The 2352 products of the demonstration
model's first box layer, added one after the other, leave its deltas with 44.8 dB; sums of at most
512 products, added in pairs, with 55 dB. The result is the same sum, and CPUs are as fast.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.targets.tflite import flatbuffer

LONGEST_SUM = 512
"""Number of products that one operator adds."""


def split_long_sums(model: Any) -> None:
    """Splits float FULLY_CONNECTED operators with longer sums of a `ModelT`, in place."""
    for graph in model.subgraphs:
        operators: list[Any] = []
        for operator in graph.operators:
            if flatbuffer.operator_name(model, operator) == "FULLY_CONNECTED":
                split = _SplitLayer(model, graph, operator)
                if split.is_long:
                    operators += split.operators()
                    continue
            operators.append(operator)
        graph.operators = operators
    flatbuffer.drop_unused(model)


class _SplitLayer:
    """One linear layer (M, K) -> (M, N) as several, whose results are added in pairs."""

    def __init__(self, model: Any, graph: Any, operator: Any) -> None:
        self._model, self._graph, self._operator = model, graph, operator
        self._source, self._weight, self._bias = map(int, operator.inputs)
        self._result = int(operator.outputs[0])

    @property
    def is_long(self) -> bool:
        """Whether the layer is one of float constants and has a sum that is too long."""
        weight = self._graph.tensors[self._weight]
        return (
            weight.type == schema.TensorType.FLOAT32
            and self._model.buffers[weight.buffer].data is not None
            and len(self._graph.tensors[self._source].shape) == 2
            and int(weight.shape[1]) > LONGEST_SUM
        )

    def operators(self) -> list[Any]:
        """The operators that replace the layer."""
        weight = self._graph.tensors[self._weight]
        data = np.asarray(self._model.buffers[weight.buffer].data, np.uint8)
        values = data.view(np.float32).reshape(weight.shape)
        operators: list[Any] = []
        sums: list[int] = []
        begin = 0
        for part in np.array_split(values, -(-values.shape[1] // LONGEST_SUM), axis=1):
            sliced = self._slice(begin, part.shape[1], operators)
            sums.append(self._partial(sliced, part, operators))
            begin += part.shape[1]
        while len(sums) > 1:
            pairs = zip(sums[::2], sums[1::2], strict=False)
            odd = sums[len(sums) - len(sums) % 2 :]
            final = len(sums) == 2
            sums = [self._add(*pair, final, operators) for pair in pairs] + odd
        return operators

    def _slice(self, begin: int, width: int, operators: list[Any]) -> int:
        """Columns of the input; returns the index of the tensor."""
        rows = int(self._graph.tensors[self._source].shape[0])
        index = self._value((rows, width))
        corner, size = (
            self._constant(np.array(values, np.int32), schema.TensorType.INT32)
            for values in ((0, begin), (rows, width))
        )
        operator = flatbuffer.new_operator(self._model, "SLICE", 1, self._source, index)
        operator.inputs = np.array([self._source, corner, size], np.int32)
        operator.builtinOptionsType = schema.BuiltinOptions.SliceOptions
        operator.builtinOptions = schema.SliceOptionsT()
        operators.append(operator)
        return index

    def _partial(self, source: int, weight: Any, operators: list[Any]) -> int:
        """The layer of some columns; the first one has the bias. Returns the tensor's index."""
        rows = int(self._graph.tensors[source].shape[0])
        index = self._value((rows, weight.shape[0]))
        operator = copy.deepcopy(self._operator)
        operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
        constant = self._constant(np.ascontiguousarray(weight), schema.TensorType.FLOAT32)
        operator.inputs = np.array([source, constant, self._bias], np.int32)
        operator.outputs = np.array([index], np.int32)
        operators.append(operator)
        self._bias = -1
        return index

    def _add(self, left: int, right: int, final: bool, operators: list[Any]) -> int:
        """The sum of two parts; the last one has the layer's activation and result."""
        shape = tuple(map(int, self._graph.tensors[left].shape))
        index = self._result if final else self._value(shape)
        operator = flatbuffer.new_operator(self._model, "ADD", 1, left, index)
        operator.inputs = np.array([left, right], np.int32)
        operator.builtinOptionsType = schema.BuiltinOptions.AddOptions
        operator.builtinOptions = schema.AddOptionsT()
        if final:
            options = self._operator.builtinOptions
            operator.builtinOptions.fusedActivationFunction = options.fusedActivationFunction
        operators.append(operator)
        return index

    def _value(self, shape: tuple[int, ...]) -> int:
        """A new float tensor with the layer's name."""
        return self._tensor(shape, schema.TensorType.FLOAT32, 0)

    def _constant(self, values: Any, kind: int) -> int:
        """A new constant with the layer's name."""
        return self._tensor(
            values.shape, kind, flatbuffer.add_buffer(self._model, values.tobytes())
        )

    def _tensor(self, shape: tuple[int, ...], kind: int, buffer: int) -> int:
        tensor = schema.TensorT()
        tensors = self._graph.tensors
        tensor.name = tensors[self._result].name + b"_part%d" % len(tensors)
        tensor.shape = np.array(shape, np.int32)
        tensor.type = kind
        tensor.buffer = buffer
        tensors.append(tensor)
        return len(tensors) - 1
