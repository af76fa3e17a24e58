"""Evaluates an ML Program operation by operation, in the file's own precisions.

Every value has the dtype that the file declares: float16 results are rounded to float16 after each
operation. Within an operation, float16 operands are computed in float32 and the result is rounded
once, which mirrors the wide accumulation of Core ML's matrix products and convolutions (and is fast
in torch on a CPU). So results are close to those of a device, not equal bit by bit: Core ML fuses
operations, and the Neural Engine rounds in other places.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from export.targets.coreml.loader import MAIN_FUNCTION, load
from export.targets.coreml.ops import DATA_MOVEMENT_OPS, OPERATORS
from export.targets.coreml.ops.operator_types import Operator, UnsupportedError
from export.targets.coreml.program import Operation
from export.targets.coreml.values import (
    STORAGE_DTYPES,
    format_shape,
    has_shape,
    round_to_type,
    to_array,
    to_tensor,
)
from lvt.errors import UserError

Arrays = dict[str, NDArray[Any]]

EVALUATOR_NAME = f"Core ML evaluator of lvt-mobile {version('lvt-mobile')}"
"""The name of the evaluator in reports and manifests."""


@dataclass(frozen=True)
class _BoundOperation:
    """An operation with its operator, ready to run.

    Attributes:
        operation: of the program.
        operator: computes it.
        constants: {parameter: argument} of constant arguments, converted once.
        variables: {parameter: (names of values, annotation of the parameter)} of the others.
    """

    operation: Operation
    operator: Operator
    constants: Mapping[str, Any]
    variables: Mapping[str, tuple[tuple[str, ...], Any]]

    @property
    def inputs(self) -> set[str]:
        """Names of all values in `variables`."""
        return {name for names, _ in self.variables.values() for name in names}


class Evaluator:
    """A function of a package, ready to run on any machine.

    Attributes:
        program: the program of the package.
    """

    def __init__(self, path: Path, function: str = MAIN_FUNCTION):
        """Loads a function of a package and decodes its constants.

        Raises:
            UserError: the package cannot be read (see `loader.load`), or holds an operator, or a
                parameter of one, that the evaluator does not support.
        """
        self._file = path.name
        self.program = load(path, function)
        self._constants = {
            name: value if isinstance(value, str) else to_tensor(value, self.program.types[name])
            for name, value in self.program.constants.items()
        }
        self._operations: list[_BoundOperation] = []
        for operation in self.program.operations:
            bound = self._bind(operation)
            if operation.type.startswith("constexpr_"):
                self._constants.update(self._compute(bound, {}))
            else:
                self._operations.append(bound)

    def run(self, inputs: Mapping[str, NDArray[Any]], intermediates: Sequence[str] = ()) -> Arrays:
        """Runs one inference.

        Args:
            inputs: {name: array}. An image input takes pixel values 0..255, (1, 3, H, W) NCHW in
                the colour order that the package declares; its scale and bias are in the program.
            intermediates: names of intermediate values to return besides the outputs.

        Returns:
            {name: array}: the outputs in the order of the package's description, then
            `intermediates`. The dtypes are those of the file, including NumPy's float16.

        Raises:
            UserError: an input is missing or has a wrong shape; an intermediate value does not
                exist; the evaluator does not support the parameters of an operator.
        """
        for name in intermediates:
            if name not in self.program.types:
                raise UserError(f"{self._file} computes no value named {name}")
        returned = [*self.program.outputs, *intermediates]
        values = {name: self._input(name, inputs) for name in self.program.inputs}
        with torch.inference_mode():
            for bound, unused in self._with_unused_values(set(returned)):
                values.update(self._compute(bound, values))
                for name in unused:
                    del values[name]
        return {name: self._output(name, values) for name in returned}

    def _input(self, name: str, inputs: Mapping[str, NDArray[Any]]) -> Tensor:
        if name not in inputs:
            raise UserError(f"{self._file} needs an input named {name}")
        tensor_type = self.program.types[name]
        if not has_shape(inputs[name].shape, tensor_type):
            raise UserError(
                f"{self._file} takes {name} as {format_shape(tensor_type)}, "
                f"not {inputs[name].shape}"
            )
        return round_to_type(to_tensor(inputs[name], tensor_type), tensor_type)

    def _output(self, name: str, values: Mapping[str, Tensor]) -> NDArray[Any]:
        value = values[name] if name in values else self._constants[name]
        if isinstance(value, str):
            raise UserError(f"{name} in {self._file} is a parameter, not a tensor")
        return to_array(value, self.program.types[name])

    def _describe(self, operation: Operation) -> str:
        """An operation as error messages call it."""
        return f"{operation.type} '{operation.name}' in {self._file}"

    def _bind(self, operation: Operation) -> _BoundOperation:
        """Finds the operator of an operation and converts its constant arguments."""
        operator = OPERATORS.get(operation.type)
        if operator is None:
            raise UserError(
                f"the Core ML evaluator does not support the operator {self._describe(operation)}"
            )
        annotations = typing.get_type_hints(operator)
        required = {
            name
            for name, parameter in inspect.signature(operator).parameters.items()
            if parameter.default is inspect.Parameter.empty
        }
        unknown = sorted(set(operation.arguments) - set(annotations))
        missing = sorted(required - set(operation.arguments))
        if unknown or missing:
            problem = f"without {missing[0]}" if missing else f"with a parameter {unknown[0]}"
            raise UserError(
                f"the Core ML evaluator does not support {self._describe(operation)} {problem}"
            )
        constants, variables = {}, {}
        for parameter, names in operation.arguments.items():
            annotation = _without_none(annotations[parameter])
            if all(name in self._constants for name in names):
                values = [self._constants[name] for name in names]
                constants[parameter] = _convert_argument(values, annotation)
            else:
                variables[parameter] = (names, annotation)
        return _BoundOperation(operation, operator, constants, variables)

    def _with_unused_values(
        self, returned: set[str]
    ) -> Iterator[tuple[_BoundOperation, tuple[str, ...]]]:
        """Each operation, with the values that no later operation uses and that are not returned.

        Args:
            returned: names of values that `run` returns.
        """
        used_later = set(returned)
        schedule = []
        for bound in reversed(self._operations):
            touched = (bound.inputs - self._constants.keys()) | set(bound.operation.outputs)
            schedule.append((bound, tuple(touched - used_later)))
            used_later |= touched
        return reversed(schedule)

    def _compute(self, bound: _BoundOperation, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The results of an operation, in the types that the file declares."""
        operation = bound.operation
        variables = {
            parameter: _convert_argument(
                [values[name] if name in values else self._constants[name] for name in names],
                annotation,
            )
            for parameter, (names, annotation) in bound.variables.items()
        }
        try:
            results = bound.operator(**bound.constants, **variables)
        except UnsupportedError as error:
            raise UserError(
                f"the Core ML evaluator does not support {self._describe(operation)} with {error}"
            ) from error
        if isinstance(results, Tensor):
            results = (results,)
        if len(results) != len(operation.outputs):
            raise UserError(
                f"{self._describe(operation)} has {len(operation.outputs)} results, "
                f"not {len(results)}"
            )
        return {
            name: self._checked(operation, name, result)
            for name, result in zip(operation.outputs, results, strict=True)
        }

    def _checked(self, operation: Operation, name: str, result: Tensor) -> Tensor:
        """A result in its type.

        Raises:
            UserError: the result has another shape than the file declares.
        """
        tensor_type = self.program.types[name]
        if not has_shape(tuple(result.shape), tensor_type):
            raise UserError(
                f"{self._describe(operation)} computes {tuple(result.shape)} where the file has "
                f"{format_shape(tensor_type)}; the file is damaged, or the evaluator is wrong"
            )
        storage_dtype = STORAGE_DTYPES[tensor_type.dtype]
        if operation.type in DATA_MOVEMENT_OPS and result.dtype == storage_dtype:
            return result
        return round_to_type(result, tensor_type)


def _without_none(annotation: Any) -> Any:
    """`T` of an annotation `T | None`; any other annotation as it is."""
    options = [option for option in typing.get_args(annotation) if option is not NoneType]
    return options[0] if NoneType in typing.get_args(annotation) else annotation


def _convert_argument(values: Sequence[Tensor | str], annotation: Any) -> Any:
    """An argument in the form of the parameter's annotation, see `Operator`."""
    if annotation == list[Tensor]:
        return list(values)
    (value,) = values
    if annotation in (Tensor, str):
        return value
    assert isinstance(value, Tensor), "strings in a file go to parameters annotated as str"
    if annotation in (int, float, bool):
        return annotation(value.item())
    (element,) = typing.get_args(annotation)
    return [element(item) for item in value.flatten().tolist()]
