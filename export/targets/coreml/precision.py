"""Which operators of an ML Program compute in float16, and which in float32."""

from __future__ import annotations

from typing import Any

from export.targets import ConversionInput
from export.targets.coreml.suppress_warnings import import_coremltools

HEAD_LAYERS = frozenset({"conv", "conv_transpose", "relu", "quantize", "dequantize"})
"""MIL operators of the panoptic heads that stay in float16, with the quantization around them."""


def compute_precision(conversion: ConversionInput) -> Any:
    """coremltools' compute precision: float32, float16, or a selection of operators.

    The floating-point operators of an int8 file are in float16. In panoptic graphs all operators
    that depend on boxes stay in float32, that is, all after the first top-k: float16 cannot hold
    products of pixel coordinates (areas reach 65504 at 256x256), and it rounds positions beyond
    1024 to whole pixels. The layers of the heads compute features, so they are in float16.
    """
    ct = import_coremltools()
    if conversion.precision == "fp32":
        return ct.precision.FLOAT32
    if conversion.spec.panoptic is None or conversion.in_parts:
        return ct.precision.FLOAT16
    return ct.transform.FP16ComputePrecision(op_selector=_Float16Selector())


class _Float16Selector:
    """Selects the operators of a panoptic model that compute in float16.

    coremltools calls it once for each operation, in the order of execution.
    """

    def __init__(self) -> None:
        self._depends_on_boxes: dict[str, bool] = {}  # by the name of the operation

    def __call__(self, operation: Any) -> bool:
        if self._after_topk(operation):
            return operation.op_type in HEAD_LAYERS
        return not _feeds_topk(operation)

    def _after_topk(self, operation: Any) -> bool:
        """Whether the operation's result depends on a top-k."""
        producers = [
            _producer(value)
            for argument in operation.inputs.values()
            for value in (argument if isinstance(argument, list | tuple) else [argument])
            if value is not None
        ]
        # In the order of execution every producer is known; the network's input has none.
        result = operation.op_type == "topk" or any(
            self._depends_on_boxes.get(producer.name, False)
            for producer in producers
            if producer is not None
        )
        self._depends_on_boxes[operation.name] = result
        return result


def _producer(value: Any) -> Any:
    """The operation that computes a value, without the casts that the pass itself inserts."""
    operation = value.op
    while operation is not None and operation.op_type == "cast":
        operation = operation.inputs["x"].op
    return operation


def _feeds_topk(operation: Any) -> bool:
    """Whether a top-k sorts the result. In float16, many scores near 1 would be equal."""
    return any(user.op_type == "topk" for value in operation.outputs for user in value.child_ops)
