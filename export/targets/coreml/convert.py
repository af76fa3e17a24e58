"""PyTorch to an ML Program through coremltools."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from export.targets import ConversionInput
from export.targets.coreml.session import INPUT, PIXELS_KEY
from export.targets.coreml.suppress_warnings import import_coremltools, quiet
from export.targets.coreml.torch_export import exported, rounds_activations, unchecked_passes
from lvt.data.preprocessing_steps import Normalise

INTEGER_OUTPUTS = frozenset({"labels"})
HEAD_LAYERS = frozenset({"conv", "conv_transpose", "relu", "quantize", "dequantize"})
"""MIL operators of the panoptic heads that stay in float16, and those that quantize around them."""


class FromPixels(nn.Module):
    """The model for 8-bit pixels: normalised inside, as one product and one sum a channel."""

    def __init__(self, model: nn.Module, normalise: Normalise):
        super().__init__()
        self.model = model
        mean = torch.tensor(normalise.mean, dtype=torch.float64).reshape(1, 3, 1, 1)
        std = torch.tensor(normalise.std, dtype=torch.float64).reshape(1, 3, 1, 1)
        self.register_buffer("gain", (1 / (normalise.scale * std)).float())
        self.register_buffer("offset", (-mean / std).float())
        self.training = False  # as the model is, which cannot be told again if it is a graph

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...] | Tensor:
        return self.model(pixels * self.get_buffer("gain") + self.get_buffer("offset"))


def convert(conversion: ConversionInput, path: Path) -> None:
    """Writes an .mlpackage for iOS 16, macOS 13 and newer; for iOS 17 with int8 activations."""
    ct = import_coremltools()
    shape = (1, 3, *conversion.size)
    model = conversion.model
    if conversion.pixels is not None:
        model = FromPixels(model, conversion.pixels)
        image = ct.ImageType(INPUT, shape=shape, color_layout=ct.colorlayout.RGB)
    else:
        image = ct.TensorType(INPUT, shape=shape, dtype=np.float32)
    outputs = [
        ct.TensorType(name, dtype=np.int32 if name in INTEGER_OUTPUTS else np.float32)
        for name in conversion.spec.outputs
    ]
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every shape that is read
        source: Any
        if conversion.quantized:
            source = exported(model, torch.zeros(shape))
            least = ct.target.iOS17 if rounds_activations(source) else ct.target.iOS16
        else:
            with torch.no_grad():
                source = torch.jit.trace(model, torch.zeros(shape), check_trace=False)
            least = ct.target.iOS16
        with unchecked_passes():
            package = ct.convert(
                source,
                inputs=[image],
                outputs=outputs,
                convert_to="mlprogram",
                minimum_deployment_target=least,
                compute_precision=_compute_precision(conversion),
                skip_model_load=True,
            )
        package.short_description = f"Lite Vision Transformer, {conversion.spec.task}"
        package.user_defined_metadata.update(conversion.metadata)
        if conversion.pixels is not None:
            package.user_defined_metadata[PIXELS_KEY] = json.dumps(asdict(conversion.pixels))
        package.save(str(path))
    # ExecuTorch's debugger would read it; it may be larger than the weights.
    (path / "executorch_debug_handle_mapping.json").unlink(missing_ok=True)


def _producer(value: Any) -> Any:
    """The operation that a value comes from, casts left out: the pass puts them in as it goes."""
    operation = value.op
    while operation is not None and operation.op_type == "cast":
        operation = operation.inputs["x"].op
    return operation


def _compute_precision(conversion: ConversionInput) -> Any:
    """float32, float16, or for panoptic models float16 with the arithmetic of boxes in float32.

    What a file in int8 computes in floating point is as in float16.

    Products of pixel coordinates leave float16 (areas reach 65504 at 256x256), and positions
    beyond 1024 pixels are a pixel off. So what follows the first top-k, where boxes begin, stays
    in float32, but for the layers of the heads, whose numbers are features.
    """
    ct = import_coremltools()
    if conversion.precision == "fp32":
        return ct.precision.FLOAT32
    if conversion.spec.panoptic is None:
        return ct.precision.FLOAT16
    known: dict[str, bool] = {}

    def follows_boxes(operation: Any) -> bool:
        """Whether the operation's result depends on a top-k."""
        inputs = [
            _producer(value)
            for given in operation.inputs.values()
            for value in (given if isinstance(given, list | tuple) else [given])
            if value is not None
        ]
        # In the order of execution, so that every producer is known but the network's input.
        found = operation.op_type == "topk" or any(
            known.get(op.name, False) for op in inputs if op is not None
        )
        known[operation.name] = found
        return found

    def ranks(operation: Any) -> bool:
        """Whether a top-k sorts the result; in float16 scores near 1 would all be the same."""
        return any(
            user.op_type == "topk" for value in operation.outputs for user in value.child_ops
        )

    def in_float16(operation: Any) -> bool:
        if follows_boxes(operation):
            return operation.op_type in HEAD_LAYERS
        return not ranks(operation)

    return ct.transform.FP16ComputePrecision(op_selector=in_float16)
