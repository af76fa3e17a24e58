"""The .tflite flatbuffer as objects: reading, packing, metadata, new buffers and operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from lvt.errors import UserError

IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
"""Alignment of constants in the schema. Python's packer ignores it, and 32-bit ARM would crash."""

_OPERATOR_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


def unpack(content: bytes) -> Any:
    """The file as a mutable `ModelT`."""
    return schema.ModelT.InitFromPackedBuf(content, 0)


def read(path: Path) -> Any:
    """The file as a `ModelT`.

    Raises:
        UserError: the file cannot be read, or is no TFLite file.
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
    """A buffer that packs its data with the alignment of the schema."""

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - the schema's name
        if self.data is not None:
            builder.Prep(_ALIGNMENT, len(self.data))
        return super().Pack(builder)


def operator_name(model: Any, operator: Any) -> str:
    """The name of an operator, such as `CONV_2D`."""
    code = model.operatorCodes[operator.opcodeIndex]
    # Old codes are in one field, new ones in the other.
    return _OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]


def operator_versions(model: Any) -> set[tuple[str, int]]:
    """(name, version) of all operators of the file; a runtime must support each."""
    return {
        (operator_name(model, operator), model.operatorCodes[operator.opcodeIndex].version)
        for graph in model.subgraphs
        for operator in graph.operators
    }


def set_metadata(model: Any, metadata: dict[str, str]) -> None:
    """Adds metadata in UTF-8 to the entries of the converter."""
    model.metadata = model.metadata or []
    for key, value in metadata.items():
        entry = schema.MetadataT()
        entry.name = key
        entry.buffer = add_buffer(model, value.encode())
        model.metadata.append(entry)


def get_metadata(model: Any) -> dict[str, str]:
    """All metadata of the file, including the entries of the converter."""
    return {
        entry.name.decode(): bytes(model.buffers[entry.buffer].data).rstrip(b"\0").decode()
        for entry in model.metadata or []
    }


def add_buffer(model: Any, data: bytes) -> int:
    """Adds a buffer to the file; returns its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def new_operator(model: Any, name: str, version: int, source: int, result: int) -> Any:
    """A new operator of one input and one output, without options; not yet in a graph.

    Args:
        name: such as `DEQUANTIZE`.
        version: the lowest version of the operator that supports the types of both tensors.
        source: index of the tensor that it reads.
        result: index of the tensor that it computes.
    """
    operator = schema.OperatorT()
    operator.opcodeIndex = operator_code(model, getattr(schema.BuiltinOperator, name), version)
    operator.inputs = np.array([source], np.int32)
    operator.outputs = np.array([result], np.int32)
    return operator


def operator_code(model: Any, builtin: int, version: int) -> int:
    """Index of the operator code, which is added if the model has none yet."""
    for index, code in enumerate(model.operatorCodes):
        if (code.builtinCode, code.version) == (builtin, version):
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = builtin
    code.deprecatedBuiltinCode = builtin  # all operators that we add have old codes
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def drop_unused(model: Any) -> None:
    """Removes the tensors, buffers and operator codes that nothing uses any more."""
    for graph in model.subgraphs:
        used = set(map(int, (*graph.inputs, *graph.outputs)))
        for operator in graph.operators:
            used.update(int(i) for i in (*operator.inputs, *operator.outputs) if i >= 0)
        order = sorted(used)
        place = {index: position for position, index in enumerate(order)} | {-1: -1}
        graph.tensors = [graph.tensors[index] for index in order]
        graph.inputs, graph.outputs = (
            np.array([place[int(i)] for i in ends], np.int32)
            for ends in (graph.inputs, graph.outputs)
        )
        for operator in graph.operators:
            operator.inputs, operator.outputs = (
                np.array([place[int(i)] for i in ends], np.int32)
                for ends in (operator.inputs, operator.outputs)
            )
        for signature in model.signatureDefs or []:
            if model.subgraphs[signature.subgraphIndex] is graph:
                for entry in (*signature.inputs, *signature.outputs):
                    entry.tensorIndex = place[entry.tensorIndex]
    read = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    read.update(entry.buffer for entry in model.metadata or [])
    for index, buffer in enumerate(model.buffers):
        if index not in read:
            buffer.data = None
    codes = sorted({op.opcodeIndex for graph in model.subgraphs for op in graph.operators})
    for graph in model.subgraphs:
        for operator in graph.operators:
            operator.opcodeIndex = codes.index(operator.opcodeIndex)
    model.operatorCodes = [model.operatorCodes[index] for index in codes]
