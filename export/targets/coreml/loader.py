"""Reads a written .mlpackage.

It reads the protobuf directly, so names, types and precisions are those of the file. coremltools'
own loader would rebuild the program with the operation classes of its version.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.targets.coreml.program import Constant, Operation, Program, TensorType
from export.targets.coreml.suppress_warnings import import_coremltools, suppress_warnings
from lvt.errors import UserError

_DTYPES = {
    "BOOL": "bool",
    "STRING": "string",
    "FLOAT16": "fp16",
    "FLOAT32": "fp32",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT4": "int4",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT1": "uint1",
    "UINT2": "uint2",
    "UINT3": "uint3",
    "UINT4": "uint4",
    "UINT6": "uint6",
}
_NUMPY = {
    "bool": np.bool_,
    "fp16": np.float16,
    "fp32": np.float32,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
}
_BITS = {"uint1": 1, "uint2": 2, "uint3": 3, "uint4": 4, "int4": 4, "uint6": 6}
_READERS = {
    "fp16": "read_fp16_data",
    "fp32": "read_float_data",
    **{name: f"read_{name}_data" for name in _NUMPY if "int" in name},
    **{name: f"read_{name}_data" for name in _BITS},
}


MAIN_FUNCTION = "main"


def load(path: Path, function: str = MAIN_FUNCTION) -> Program:
    """The program of a function of a package.

    Raises:
        UserError: there is no such package, it is damaged, or it holds no ML Program or no such
            function.
    """
    model = read_model(path)
    kind = model.WhichOneof("Type")
    if kind is None:
        raise _damaged(path, "its model file holds no model")
    if kind != "mlProgram":
        raise UserError(
            f"{path.name} holds a {kind}; only ML Programs can be read, "
            "convert it with a deployment target of iOS 15 or newer"
        )
    names = _function_names(model)
    if function not in names:
        raise UserError(f"{path.name} has no function '{function}', only {', '.join(names)}")
    entry = model.mlProgram.functions[function]
    if entry.opset not in entry.block_specializations:
        raise _damaged(path, f"its function has no block for its opset {entry.opset}")
    description = next(
        (d for d in model.description.functions if d.name == function), model.description
    )
    try:
        return _Reader(path, model_path(path).parent).program(entry, description)
    except (KeyError, ValueError, RuntimeError, IndexError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def function_names(path: Path) -> list[str]:
    """The functions of a package; `MAIN_FUNCTION` alone if it holds a whole model.

    Raises:
        UserError: there is no such package, or it is damaged.
    """
    return _function_names(read_model(path))


def _function_names(model: Any) -> list[str]:
    described = [description.name for description in model.description.functions]
    return described or sorted(model.mlProgram.functions)


def read_metadata(path: Path) -> dict[str, str]:
    """The user-defined metadata of a package.

    Raises:
        UserError: there is no such package, or it is damaged.
    """
    model = read_model(path)
    return dict(model.description.metadata.userDefined)


def read_minimum(path: Path) -> str:
    """The oldest iOS and macOS that a package runs on, from its specification version.

    Raises:
        UserError: there is no such package, or it is damaged.
    """
    model = read_model(path)
    ios = model.specificationVersion + 9  # version 7 came with iOS 16
    return f"iOS {ios}, macOS {ios - 3}"


def read_model(path: Path) -> Any:
    """The protobuf message of a package's model.

    Raises:
        UserError: there is no such package, or it is damaged.
    """
    file = model_path(path)
    import_coremltools()
    from coremltools.proto import Model_pb2

    model = Model_pb2.Model()
    try:
        model.ParseFromString(file.read_bytes())
    except Exception as error:  # DecodeError, which differs between protobuf implementations
        raise _damaged(path, f"its {file.name} is not a Core ML model") from error
    return model


def _damaged(path: Path, problem: str) -> UserError:
    return UserError(f"{path.name} is damaged, {problem}; export it again")


def model_path(path: Path) -> Path:
    """The model file that a package's manifest names as its root; weights lie beside it.

    Raises:
        UserError: there is no such package, or it is damaged.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist")
    manifest_path = path / "Manifest.json"
    if not manifest_path.is_file():
        raise UserError(f"{path.name} is not a Core ML package: it has no Manifest.json")
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        entry = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "its Manifest.json names no model") from error
    file = path / "Data" / str(entry)
    if not file.is_file():
        raise _damaged(path, f"{entry} is missing")
    return file


class _Reader:
    """Reads the main function of a model."""

    def __init__(self, path: Path, model_folder: Path):
        from coremltools.proto import MIL_pb2

        self._dtype_name = MIL_pb2.DataType.Name
        self._path = path
        self._folder = model_folder
        self._blobs: dict[str, Any] = {}
        self._types: dict[str, TensorType] = {}
        self._constants: dict[str, Constant] = {}

    def program(self, function: Any, description: Any) -> Program:
        for value in function.inputs:
            self._types[value.name] = self._type(value.type)
        block = function.block_specializations[function.opset]
        operations = [self._operation(op) for op in block.operations]
        outputs = tuple(feature.name for feature in description.output)
        if set(outputs) != set(block.outputs):
            raise ValueError(f"it describes outputs {outputs} and computes {list(block.outputs)}")
        unknown = [name for name in outputs if name not in self._types]
        if unknown:
            raise ValueError(f"nothing computes its output {unknown[0]}")
        return Program(
            inputs=tuple(feature.name for feature in description.input),
            outputs=outputs,
            types=self._types,
            constants=self._constants,
            operations=tuple(op for op in operations if op is not None),
        )

    def _operation(self, op: Any) -> Operation | None:
        """The operation; None for a `const`, which is kept as a constant."""
        for output in op.outputs:
            self._types[output.name] = self._type(output.type)
        if op.type == "const":
            self._constants[op.outputs[0].name] = self._value(op.attributes["val"])
            return None
        name = self._value(op.attributes["name"]) if "name" in op.attributes else op.type
        arguments: dict[str, tuple[str, ...]] = {}
        # Constant parameters are inputs, or attributes of the constexpr operations of iOS 16.
        for parameter, value in op.attributes.items():
            if parameter != "name":
                arguments[parameter] = (self._literal(f"{name}.{parameter}", value),)
        for parameter, argument in op.inputs.items():
            arguments[parameter] = tuple(
                binding.name
                if binding.WhichOneof("binding") == "name"
                else self._literal(f"{name}.{parameter}.{index}", binding.value)
                for index, binding in enumerate(argument.arguments)
            )
        for names in arguments.values():
            for value_name in names:
                if value_name not in self._types:
                    raise ValueError(
                        f"{op.type} '{name}' uses {value_name}, which nothing computes"
                    )
        return Operation(
            op.type, str(name), arguments, tuple(o.name for o in op.outputs), len(op.blocks)
        )

    def _literal(self, name: str, value: Any) -> str:
        """Adds a literal argument to the constants; returns its name."""
        self._types[name] = self._type(value.type)
        self._constants[name] = self._value(value)
        return name

    def _type(self, value_type: Any) -> TensorType:
        kind = value_type.WhichOneof("type")
        if kind != "tensorType":
            raise UserError(
                f"{self._path.name} holds values of type {kind}; only tensors can be evaluated"
            )
        tensor = value_type.tensorType
        dtype = self._dtype_name(tensor.dataType)
        if dtype not in _DTYPES:
            raise UserError(f"{self._path.name} holds {dtype} values, which cannot be evaluated")
        shape = tuple(
            dim.constant.size if dim.WhichOneof("dimension") == "constant" else None
            for dim in tensor.dimensions
        )
        return TensorType(_DTYPES[dtype], shape)

    def _value(self, value: Any) -> Constant:
        """A constant; integers of less than a byte are unpacked to one byte each."""
        tensor_type = self._type(value.type)
        shape = tuple(size or 0 for size in tensor_type.shape)
        if value.WhichOneof("value") == "blobFileValue":
            flat = self._from_blob(value.blobFileValue, tensor_type.dtype)
        else:
            tensor = value.immediateValue.tensor
            field = tensor.WhichOneof("value")
            if field is None:
                raise ValueError("a constant has no value")
            if field == "strings":
                return str(tensor.strings.values[0])
            if field == "bytes":
                flat = _from_bytes(tensor.bytes.values, tensor_type.dtype, math.prod(shape))
            else:
                flat = np.array(getattr(tensor, field).values, dtype=_NUMPY[tensor_type.dtype])
        return flat.reshape(shape)

    def _from_blob(self, blob: Any, dtype: str) -> NDArray[np.generic]:
        with suppress_warnings():
            from coremltools.libmilstoragepython import _BlobStorageReader

        file = self._folder / blob.fileName.removeprefix("@model_path/")
        if not file.is_file():
            raise ValueError(f"{file.name} is missing")
        if file.name not in self._blobs:
            self._blobs[file.name] = _BlobStorageReader(str(file))
        data = np.asarray(getattr(self._blobs[file.name], _READERS[dtype])(blob.offset))
        return data.view(np.float16) if dtype == "fp16" else data


def _from_bytes(data: bytes, dtype: str, count: int) -> NDArray[np.generic]:
    """Little-endian values; those of less than a byte are packed from the lowest bit up."""
    if dtype not in _BITS:
        return np.frombuffer(data, _NUMPY[dtype])
    bits = _BITS[dtype]
    lanes = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: count * bits]
    values = lanes.reshape(count, bits) @ (1 << np.arange(bits))
    if dtype.startswith("int"):
        values = np.where(values >= 1 << (bits - 1), values - (1 << bits), values)
        return values.astype(np.int8)
    return values.astype(np.uint8)
