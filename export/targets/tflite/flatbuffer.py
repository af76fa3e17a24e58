"""The .tflite flatbuffer as objects: reading, packing, metadata, half-precision weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from lvt.errors import UserError

IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
"""Of constants, as the schema demands; Python's packer ignores it, and 32-bit ARM would crash."""

_OPERATOR_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}
_WEIGHT_INPUT = 1
_WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
"""Operators whose weights every runtime and delegate takes as float16."""
_DEQUANTIZE_VERSION = 3
"""The first that reads float16."""


def unpack(content: bytes) -> Any:
    """The file as a `ModelT` that can be changed."""
    return schema.ModelT.InitFromPackedBuf(content, 0)


def read(path: Path) -> Any:
    """The file as a `ModelT`.

    Raises:
        UserError: it is not there, or is no TFLite file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if content[4:8] != IDENTIFIER:
        raise UserError(f"{path.name} is not a TFLite file; give one written by lvt-export")
    return unpack(content)


def pack(model: Any) -> bytes:
    """The file's bytes."""
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer that packs its data where the schema wants it."""

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - the schema's name
        if self.data is not None:
            builder.Prep(_ALIGNMENT, len(self.data))
        return super().Pack(builder)


def operator_name(model: Any, operator: Any) -> str:
    """Such as `CONV_2D`."""
    code = model.operatorCodes[operator.opcodeIndex]
    # Old codes stand in the one field, new ones in the other.
    return _OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]


def operator_versions(model: Any) -> set[tuple[str, int]]:
    """(name, version) of all operators used; a runtime must know each."""
    return {
        (operator_name(model, operator), model.operatorCodes[operator.opcodeIndex].version)
        for graph in model.subgraphs
        for operator in graph.operators
    }


def set_metadata(model: Any, metadata: dict[str, str]) -> None:
    """Adds `metadata`, UTF-8, to what the converter wrote."""
    model.metadata = model.metadata or []
    for key, value in metadata.items():
        entry = schema.MetadataT()
        entry.name = key
        entry.buffer = _add_buffer(model, value.encode())
        model.metadata.append(entry)


def get_metadata(model: Any) -> dict[str, str]:
    """All metadata of the file, the converter's own entries included."""
    return {
        entry.name.decode(): bytes(model.buffers[entry.buffer].data).rstrip(b"\0").decode()
        for entry in model.metadata or []
    }


def _add_buffer(model: Any, data: bytes) -> int:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def halve_weights(model: Any) -> None:
    """Stores the weights of convolutions and linear layers as float16.

    Each gets a DEQUANTIZE in front, which CPU runtimes evaluate once at preparation and GPU
    delegates skip. Other constants (anchors, coordinates, biases) keep their precision.
    """
    for graph in model.subgraphs:
        dequantize = [_halve(model, graph, index) for index in _weights(model, graph)]
        graph.operators[:0] = dequantize
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used.update(entry.buffer for entry in model.metadata or [])
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None


def _weights(model: Any, graph: Any) -> Iterator[int]:
    """Constant float32 tensors that serve as weights and as nothing else."""
    weights: set[int] = set()
    others: set[int] = set(graph.outputs)
    for operator in graph.operators:
        weighted = operator_name(model, operator) in _WEIGHTED
        for position, index in enumerate(operator.inputs):
            (weights if weighted and position == _WEIGHT_INPUT else others).add(int(index))
    for index in sorted(weights - others):
        tensor = graph.tensors[index]
        constant = model.buffers[tensor.buffer].data is not None
        if constant and tensor.type == schema.TensorType.FLOAT32:
            yield index


def _halve(model: Any, graph: Any, index: int) -> Any:
    """Moves a constant into a float16 tensor and returns the operator that restores it."""
    tensor = graph.tensors[index]
    values = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.float32)
    half = schema.TensorT()
    half.name = tensor.name + b"_half"
    half.shape = tensor.shape
    half.type = schema.TensorType.FLOAT16
    half.buffer = _add_buffer(model, values.astype(np.float16).tobytes())
    graph.tensors.append(half)
    tensor.buffer = 0  # none; the float32 data goes once no other tensor shares it
    return new_operator(model, "DEQUANTIZE", _DEQUANTIZE_VERSION, len(graph.tensors) - 1, index)


def new_operator(model: Any, name: str, version: int, given: int, result: int) -> Any:
    """An operator from one tensor to one other, to be put into a graph; it has no options.

    Args:
        name: such as `DEQUANTIZE`.
        version: of the operator, the least that takes these types.
        given: index of the tensor it reads.
        result: index of the tensor it computes.
    """
    operator = schema.OperatorT()
    operator.opcodeIndex = _operator_code(model, getattr(schema.BuiltinOperator, name), version)
    operator.inputs = np.array([given], np.int32)
    operator.outputs = np.array([result], np.int32)
    return operator


def _operator_code(model: Any, builtin: int, version: int) -> int:
    """Index of the operator code, added where the model has none yet."""
    for index, code in enumerate(model.operatorCodes):
        if (code.builtinCode, code.version) == (builtin, version):
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = builtin
    code.deprecatedBuiltinCode = builtin  # all of ours are old ones
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
