"""Quantizes models to int8 and measures every file in its own runtime.

from export import ExportRequest
from quantization import QuantizeRequest, quantize

result = quantize(QuantizeRequest(ExportRequest("onnx", checkpoint="demo"), calib="demo"))
"""

from typing import TYPE_CHECKING

import lvt  # noqa: F401  # switches telemetry off before any runtime loads
from lvt.support.lazy import lazy_attributes

if TYPE_CHECKING:
    from quantization.accuracy import Budget
    from quantization.pipeline import QuantizeResult, quantize
    from quantization.request import QuantizeRequest

__all__ = ["Budget", "QuantizeRequest", "QuantizeResult", "quantize"]

__getattr__ = lazy_attributes(
    __name__,
    {
        "Budget": "quantization.accuracy",
        "QuantizeRequest": "quantization.request",
        "QuantizeResult": "quantization.pipeline",
        "quantize": "quantization.pipeline",
    },
)
