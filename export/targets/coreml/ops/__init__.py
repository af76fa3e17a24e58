"""The MIL operators in PyTorch, by type."""

from export.targets.coreml.ops import (
    convolution,
    elementwise,
    indexing,
    linear,
    quantized,
    reduction,
    resize,
    shape,
)
from export.targets.coreml.ops.operator_types import Operator

DATA_MOVEMENT_OPS = frozenset(shape.OPERATORS)
"""Operators whose results are values of their operands, so that nothing is rounded."""

OPERATORS: dict[str, Operator] = {
    **convolution.OPERATORS,
    **elementwise.OPERATORS,
    **indexing.OPERATORS,
    **linear.OPERATORS,
    **quantized.OPERATORS,
    **reduction.OPERATORS,
    **resize.OPERATORS,
    **shape.OPERATORS,
}
