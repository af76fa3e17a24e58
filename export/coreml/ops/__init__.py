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
