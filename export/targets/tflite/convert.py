"""PyTorch to TFLite through litert-torch."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import torch
from torch import Tensor, fx, nn

from export.targets.tflite import flatbuffer
from export.targets.tflite.int8_model import convertible, static_quantization
from export.targets.tflite.module_names import (
    class_link,
    module_name,
    record_calls,
    rename_values,
)
from export.targets.tflite.passes import make_inputs_and_outputs_float
from lvt.config import Size
from lvt.models import ModelSpec, named_outputs

INPUT = "image"


class ChannelsLast(nn.Module):
    """A model that takes (1, H, W, 3) and returns its outputs by name.

    The converter builds the file's signature from the parameter of `forward` and the keys of the
    dictionary. It moves the transpose into the first convolution, which is NHWC in TFLite.
    """

    def __init__(self, model: nn.Module, spec: ModelSpec):
        super().__init__()
        self.model = model
        self.spec = spec
        self.eval()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return named_outputs(self.spec, self.model(image.permute(0, 3, 1, 2)))


def convert(model: nn.Module, spec: ModelSpec, size: Size) -> Any:
    """The model as a `ModelT`, with every value named after the module that computed it.

    Args:
        model: (1, 3, *size) to the outputs of `spec`.
        spec: names the outputs.
        size: height and width of the image.
    """
    file = _convert(model, spec, size)
    calls = record_calls(model, torch.zeros(1, 3, *size))
    rename_values(file, lambda chain: module_name(chain, calls))
    return file


def convert_int8(module: fx.GraphModule, spec: ModelSpec, size: Size) -> Any:
    """Like `convert`, for a model with int8 weights and possibly int8 activations.

    The inputs and outputs of the file are float32.

    Args:
        module: see `export.targets.ConversionInput`.
        spec: names the outputs.
        size: height and width of the image.
    """
    file = _convert(convertible(module), spec, size, static_quantization())
    make_inputs_and_outputs_float(file)
    rename_values(file, _first_module)
    return file


def _first_module(chain: str) -> str:
    """The module that a value of a `convertible` model names; the first if several were merged."""
    name = chain.partition(";")[0]
    return "" if name == class_link(ChannelsLast) else name


def _convert(model: nn.Module, spec: ModelSpec, size: Size, quantization: Any = None) -> Any:
    """The converter's result as a `ModelT`."""
    import litert_torch  # takes seconds, and running files does not need it

    # The converter prints its progress on stdout, where commands print their results.
    with contextlib.redirect_stdout(sys.stderr):
        converted = litert_torch.convert(
            ChannelsLast(model, spec),
            sample_kwargs={INPUT: torch.zeros(1, *size, 3)},
            quant_config=quantization,
        )
        file = flatbuffer.unpack(converted.model_content())
    file.description = "lvt-mobile"
    return file
