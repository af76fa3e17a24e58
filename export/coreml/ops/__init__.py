"""What each MIL operator computes, by type."""

from export.coreml.ops import (
    convolution,
    elementwise,
    indexing,
    linear,
    quantized,
    reduction,
    resize,
    shape,
)
from export.coreml.ops.kinds import Operator

MOVES = frozenset(shape.OPERATORS)
"""Operators whose results are values of their operands: there is nothing to round."""

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
