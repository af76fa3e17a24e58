"""Computes an ML Program operation by operation, in the file's own precisions.

Every value has the dtype that the file gives it: float16 results are rounded to float16 after each
operation. Within an operation float16 operands are computed in float32 and the result is rounded
once, which mirrors the wide accumulation of Core ML's matrix products and convolutions (and is
what torch computes fast on a CPU). So figures are close to a device's, not equal bit by bit: Core
ML fuses operations, and the Neural Engine rounds in places of its own.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.targets.coreml.loader import load
from export.targets.coreml.ops import DATA_MOVEMENT_OPS, OPERATORS
from export.targets.coreml.ops.kinds import Operator, UnsupportedError
from export.targets.coreml.program import Operation, TensorType
from lvt.errors import UserError

Arrays = dict[str, NDArray[Any]]

# How a value of each dtype is held. A float16 value is held, rounded, in float32: that saves
# converting it at each use. torch computes little with unsigned integers wider than a byte.
_HELD = {
    "bool": torch.bool,
    "fp16": torch.float32,
    "fp32": torch.float32,
    "int4": torch.int8,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "uint1": torch.uint8,
    "uint2": torch.uint8,
    "uint3": torch.uint8,
    "uint4": torch.uint8,
    "uint6": torch.uint8,
    "uint8": torch.uint8,
    "uint16": torch.int32,
    "uint32": torch.int64,
}
_RETURNED = {"fp16": np.float16, "uint16": np.uint16, "uint32": np.uint32}


@dataclass(frozen=True)
class _Step:
    """One operation, ready to run.

    Attributes:
        fixed: parameters whose values the file fixes, in the form the operator wants.
        live: {parameter: (names of values, how the operator wants them)} for the others.
        done: values that nothing needs after this step.
    """

    operation: Operation
    operator: Operator
    fixed: Mapping[str, Any]
    live: Mapping[str, tuple[tuple[str, ...], Any]]
    done: tuple[str, ...] = ()


EVALUATOR = f"Core ML evaluator of lvt-mobile {version('lvt-mobile')}"
"""What figures call it."""


class Evaluator:
    """A package ready to run on any machine.

    Attributes:
        program: what the package holds.
    """

    def __init__(self, path: Path):
        """Loads a package and decodes its constants.

        Raises:
            UserError: the package cannot be read (see `loader.load`), or holds an operator, or a
                parameter of one, that the evaluator does not know.
        """
        self._file = path.name
        self.program = load(path)
        self._constants = {
            name: value if isinstance(value, str) else _held(value, self.program.types[name])
            for name, value in self.program.constants.items()
        }
        self._steps: list[_Step] = []
        for operation in self.program.operations:
            step = self._step(operation)
            if operation.type.startswith("constexpr_"):
                self._constants.update(self._computed(step, {}))
            else:
                self._steps.append(step)

    def run(self, inputs: Mapping[str, NDArray[Any]], also: Sequence[str] = ()) -> Arrays:
        """One inference.

        Args:
            inputs: {name: array}. An image input takes pixel values 0..255, (1, 3, H, W) NCHW in
                the colour order that the package declares; its scale and bias are in the program.
            also: names of intermediate values to return besides the outputs.

        Returns:
            {name: array}: the outputs in the order of the package's description, then `also`;
            dtypes are the file's, NumPy's float16 included.

        Raises:
            UserError: an input is missing or has a wrong shape; no value has a name in `also`;
                an operator has parameters that the evaluator does not know.
        """
        wanted = [*self.program.outputs, *also]
        for name in also:
            if name not in self.program.types:
                raise UserError(f"{self._file} computes no value named {name}")
        values = {name: self._input(name, inputs) for name in self.program.inputs}
        kept = set(wanted)
        with torch.inference_mode():
            for step in self._freeing(kept):
                values.update(self._computed(step, values))
                for name in step.done:
                    del values[name]
        return {name: self._returned(name, values) for name in wanted}

    def _input(self, name: str, inputs: Mapping[str, NDArray[Any]]) -> Tensor:
        if name not in inputs:
            raise UserError(f"{self._file} needs an input named {name}")
        kind = self.program.types[name]
        if not _fits(inputs[name].shape, kind):
            raise UserError(
                f"{self._file} takes {name} as {_shown(kind.shape)}, not {inputs[name].shape}"
            )
        return _rounded(_held(inputs[name], kind), kind)

    def _returned(self, name: str, values: Mapping[str, Tensor]) -> NDArray[Any]:
        value = values[name] if name in values else self._constants[name]
        if isinstance(value, str):
            raise UserError(f"{name} in {self._file} is a parameter, not a tensor")
        array: NDArray[Any] = value.numpy()
        dtype = _RETURNED.get(self.program.types[name].dtype)
        return array if dtype is None else array.astype(dtype)

    def _step(self, operation: Operation) -> _Step:
        """Binds an operation to its operator: constants are converted here, once."""
        where = f"{operation.type} '{operation.name}' in {self._file}"
        operator = OPERATORS.get(operation.type)
        if operator is None:
            raise UserError(f"the Core ML evaluator does not know the operator {where}")
        wants = typing.get_type_hints(operator)
        required = {
            name
            for name, parameter in inspect.signature(operator).parameters.items()
            if parameter.default is inspect.Parameter.empty
        }
        unknown = sorted(set(operation.arguments) - set(wants))
        missing = sorted(required - set(operation.arguments))
        if unknown or missing:
            problem = f"without {missing[0]}" if missing else f"with a parameter {unknown[0]}"
            raise UserError(f"the Core ML evaluator does not know {where} {problem}")
        fixed, live = {}, {}
        for parameter, names in operation.arguments.items():
            want = _without_none(wants[parameter])
            if all(name in self._constants for name in names):
                fixed[parameter] = _wanted([self._constants[name] for name in names], want)
            else:
                live[parameter] = (names, want)
        return _Step(operation, operator, fixed, live)

    def _freeing(self, kept: set[str]) -> list[_Step]:
        """The steps, each with the values that can be dropped after it."""
        seen = set(kept)
        steps = []
        for step in reversed(self._steps):
            used = {name for names, _ in step.live.values() for name in names}
            touched = (used - self._constants.keys()) | set(step.operation.outputs)
            steps.append(
                _Step(step.operation, step.operator, step.fixed, step.live, tuple(touched - seen))
            )
            seen |= touched
        return steps[::-1]

    def _computed(self, step: _Step, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Results of a step, of the dtypes that the file gives them."""
        operation = step.operation
        live = {
            parameter: _wanted(
                [values[name] if name in values else self._constants[name] for name in names], want
            )
            for parameter, (names, want) in step.live.items()
        }
        where = f"{operation.type} '{operation.name}' in {self._file}"
        try:
            results = step.operator(**step.fixed, **live)
        except UnsupportedError as error:
            raise UserError(f"the Core ML evaluator does not know {where} with {error}") from error
        if isinstance(results, Tensor):
            results = (results,)
        if len(results) != len(operation.outputs):
            raise UserError(f"{where} has {len(operation.outputs)} results, not {len(results)}")
        computed = {}
        for name, result in zip(operation.outputs, results, strict=True):
            kind = self.program.types[name]
            if not _fits(tuple(result.shape), kind):
                raise UserError(
                    f"{where} computes {tuple(result.shape)} where the file has "
                    f"{_shown(kind.shape)}; the file is damaged, or the evaluator is wrong"
                )
            if operation.type in DATA_MOVEMENT_OPS and result.dtype == _HELD[kind.dtype]:
                computed[name] = result
            else:
                computed[name] = _rounded(result, kind)
        return computed


def _held(value: NDArray[Any], kind: TensorType) -> Tensor:
    """An array as a tensor of the dtype that values of this type are held in."""
    if value.dtype in (np.uint16, np.uint32):
        value = value.astype(np.int64)
    if not value.flags.writeable:  # torch warns of memory it must not write to
        value = value.copy()
    return torch.from_numpy(np.asarray(value, order="C")).to(_HELD[kind.dtype])


def _rounded(value: Tensor, kind: TensorType) -> Tensor:
    """A result in the precision of its type."""
    if kind.dtype == "fp16":
        return value.to(torch.float16).to(torch.float32)
    return value.to(_HELD[kind.dtype])


def _fits(shape: tuple[int, ...], kind: TensorType) -> bool:
    return len(shape) == kind.rank and all(
        size is None or size == actual for size, actual in zip(kind.shape, shape, strict=True)
    )


def _shown(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("?" if size is None else str(size) for size in shape) + ")"


def _without_none(want: Any) -> Any:
    """`T` for `T | None`: whether a parameter is there is not a question of its form."""
    options = [option for option in typing.get_args(want) if option is not NoneType]
    return options[0] if NoneType in typing.get_args(want) else want


def _wanted(values: Sequence[Tensor | str], want: Any) -> Any:
    """An argument in the form that an operator's annotation asks for."""
    if want == list[Tensor]:
        return list(values)
    (value,) = values
    if want in (Tensor, str):
        return value
    assert isinstance(value, Tensor), "a file's strings go to parameters annotated as str"
    if want in (int, float, bool):
        return want(value.item())
    (element,) = typing.get_args(want)
    return [element(item) for item in value.flatten().tolist()]
