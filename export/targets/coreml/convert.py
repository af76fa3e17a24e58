"""PyTorch to an ML Program through coremltools."""

from __future__ import annotations

import json
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from export.converter_speed import faster_conversion
from export.entry_point import EntryPoint
from export.targets import ConversionInput
from export.targets.coreml.functions import combine
from export.targets.coreml.precision import compute_precision
from export.targets.coreml.session import INPUT, PIXELS_KEY
from export.targets.coreml.suppress_warnings import import_coremltools, suppress_warnings
from export.targets.coreml.torch_export import (
    export_int8,
    has_int8_activations,
    skip_program_validation,
)
from lvt.data.preprocessing_steps import Normalise


class FromPixels(nn.Module):
    """A model for 8-bit pixels, which normalises them with one product and one sum per channel."""

    def __init__(self, model: nn.Module, normalise: Normalise):
        super().__init__()
        self.model = model
        mean = torch.tensor(normalise.mean, dtype=torch.float64).reshape(1, 3, 1, 1)
        std = torch.tensor(normalise.std, dtype=torch.float64).reshape(1, 3, 1, 1)
        self.register_buffer("gain", (1 / (normalise.scale * std)).float())
        self.register_buffer("offset", (-mean / std).float())
        self.training = False  # not .eval(), which an exported graph module does not support

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...] | Tensor:
        return self.model(pixels * self.get_buffer("gain") + self.get_buffer("offset"))


@faster_conversion()
def convert(conversion: ConversionInput, path: Path) -> None:
    """Writes an .mlpackage for iOS 16 and macOS 13; with int8 activations for iOS 17, macOS 14.

    A model in parts becomes a package with a function for each entry point, for iOS 18, macOS 15.
    """
    if not conversion.in_parts:
        (entry,) = conversion.entry_points
        _convert(entry, conversion, path)
        return
    with tempfile.TemporaryDirectory() as folder:
        packages = {
            entry.name: Path(folder) / f"{entry.name}.mlpackage"
            for entry in conversion.entry_points
        }
        for entry in conversion.entry_points:
            _convert(entry, conversion, packages[entry.name])
        combine(packages, path)


def _convert(entry: EntryPoint, conversion: ConversionInput, path: Path) -> None:
    """Writes a package of one function."""
    ct = import_coremltools()
    model = entry.module
    inputs = [ct.TensorType(i.name, shape=i.shape, dtype=np.float32) for i in entry.inputs]
    if conversion.pixels is not None:
        model = FromPixels(model, conversion.pixels)
        shape = entry.inputs[0].shape
        inputs = [ct.ImageType(INPUT, shape=shape, color_layout=ct.colorlayout.RGB)]
    outputs = [ct.TensorType(o.name, dtype=np.dtype(o.dtype).type) for o in entry.outputs]
    with suppress_warnings(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns at every shape that is read
        source: Any
        if conversion.quantized:
            source = export_int8(model, entry.example_inputs())
            minimum = ct.target.iOS17 if has_int8_activations(source) else ct.target.iOS16
        else:
            # Tracing names values after Python's local variables: renaming one changes the file.
            with torch.no_grad():
                source = torch.jit.trace(model, entry.example_inputs(), check_trace=False)
            minimum = ct.target.iOS16
        with skip_program_validation():
            package = ct.convert(
                source,
                inputs=inputs,
                outputs=outputs,
                convert_to="mlprogram",
                minimum_deployment_target=minimum,
                compute_precision=compute_precision(conversion),
                skip_model_load=True,
            )
        package.short_description = f"Lite Vision Transformer, {conversion.spec.task}"
        package.user_defined_metadata.update(conversion.metadata)
        if conversion.pixels is not None:
            package.user_defined_metadata[PIXELS_KEY] = json.dumps(asdict(conversion.pixels))
        package.save(str(path))
    # Only ExecuTorch's debugger reads this file, which can be larger than the weights.
    (path / "executorch_debug_handle_mapping.json").unlink(missing_ok=True)
