"""A case of one Core ML operator, and the arrays that many cases share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.export.targets.coreml.packages import ct

Array = NDArray[Any]
Const = Callable[[Any], Any]
"""Turns a constant into the dtype of the case; for the expectation, rounds it to that dtype."""


def random_array(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


X = random_array(0, 2, 4, 6, 5)
Y = random_array(1, 2, 4, 6, 5)
POSITIVE = np.abs(X) + 0.1
MATRIX = random_array(2, 3, 4)
IDS = np.array([2, 0, 3], dtype=np.int32)
INTS = np.arange(-6, 6, dtype=np.int32).reshape(3, 4)
COUNT = np.arange(2 * 8 * 4 * 6, dtype=np.float32).reshape(2, 8, 4, 6) / 8
"""Exact in float16, every element different: for operators that move values."""


@dataclass(frozen=True, eq=False)
class Case:
    """One use of an operator.

    Attributes:
        build: (const, *MIL variables) -> result or results.
        expected: (const, *arrays in float64) -> the same.
    """

    op: str
    inputs: tuple[Array, ...]
    build: Callable[..., Any]
    expected: Callable[..., Any]
    opset: Any = ct.target.iOS16
    label: str = ""
    half: bool = True
    """Whether the case runs in float16 too."""


CASES: list[Case] = []


def case(
    op: str,
    inputs: Array | tuple[Array, ...],
    build: Callable[..., Any],
    expected: Callable[..., Any],
    **options: Any,
) -> None:
    arrays = inputs if isinstance(inputs, tuple) else (inputs,)
    CASES.append(Case(op, arrays, build, expected, **options))


def as_torch(function: Callable[..., torch.Tensor]) -> Callable[..., Array]:
    """An expectation in torch, on float64."""

    def expected(const: Const, *arrays: Array) -> Array:
        return function(const, *(torch.from_numpy(np.array(a)) for a in arrays)).numpy()

    return expected


def tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float64))
