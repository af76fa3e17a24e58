"""What the operator table is made of."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Operator = Callable[..., Tensor | tuple[Tensor, ...]]
"""A function with MIL's parameter names.

Annotations say how a parameter wants its value: `Tensor`, `list[Tensor]`, or `int`, `float`,
`bool`, `str`, `list[int]`, `list[bool]`. A float16 tensor arrives as float32. The result need not
be of the dtype the file declares; the evaluator rounds it.
"""


class UnsupportedError(Exception):
    """A combination of parameters whose meaning is not documented or not implemented here."""
