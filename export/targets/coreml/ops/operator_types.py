"""Types of the operator table."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Operator = Callable[..., Tensor | tuple[Tensor, ...]]
"""A function with MIL's parameter names.

The annotation of a parameter is the form of its argument: `Tensor`, `list[Tensor]`, or `int`,
`float`, `bool`, `str`, `list[int]`, `list[bool]`. float16 tensors are passed as float32. The result
may have another dtype than the file declares; the evaluator rounds it.
"""


class UnsupportedError(Exception):
    """A combination of parameters that MIL does not document, or that is not implemented."""
