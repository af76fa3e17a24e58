"""PyTorch to TFLite through litert-torch."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, fx, nn

from export.converter_speed import faster_conversion
from export.entry_point import MAIN, EntryPoint
from export.targets.tflite import flatbuffer
from export.targets.tflite.int8_model import convertible, static_quantization, with_float_weights
from export.targets.tflite.integers import make_integers
from export.targets.tflite.module_names import (
    class_link,
    module_name,
    record_calls,
    rename_values,
)
from export.targets.tflite.passes import make_inputs_and_outputs_float

MAIN_SIGNATURE = "serving_default"
"""TFLite's name of the signature of a file that holds the whole model."""


def signature_name(entry_point: str) -> str:
    """TFLite's name of an entry point."""
    return MAIN_SIGNATURE if entry_point == MAIN else entry_point


class NamedOutputs(nn.Module):
    """An entry point that returns its outputs by name; subclasses name its inputs.

    The converter builds a signature from the parameters of `forward` and the keys of the result.
    """

    def __init__(self, entry: EntryPoint):
        super().__init__()
        self.model = entry.module
        self.named = entry.named
        self.eval()


class ChannelsLast(NamedOutputs):
    """An entry point that takes an image as (1, H, W, 3).

    The converter moves the transpose into the first convolution, which is NHWC in TFLite.
    """

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.named(self.model(image.permute(0, 3, 1, 2)))


class OfFeatures(NamedOutputs):
    """`boxes` of a panoptic model in parts."""

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        return self.named(self.model(features))


class OfFeaturesAndClasses(NamedOutputs):
    """`masks` of a panoptic model in parts."""

    def forward(self, features: Tensor, classes: Tensor) -> dict[str, Tensor]:
        return self.named(self.model(features, classes))


_WRAPPERS: dict[tuple[str, ...], type[NamedOutputs]] = {
    ("image",): ChannelsLast,
    ("features",): OfFeatures,
    ("features", "classes"): OfFeaturesAndClasses,
}
"""By the names of the inputs."""


def convert(entry_points: Sequence[EntryPoint]) -> Any:
    """The entry points as a `ModelT`, with every value named after the module that computed it."""
    file = _convert(entry_points)
    for entry, graph in zip(entry_points, file.subgraphs, strict=True):
        calls = record_calls(entry.module, entry.example_inputs())
        rename_values(graph, partial(module_name, calls=calls))
    return file


def convert_int8(entry_points: Sequence[EntryPoint]) -> Any:
    """Like `convert`, for modules with int8 weights and possibly int8 activations.

    The inputs and outputs of the file are float32.

    Args:
        entry_points: see `export.targets.ConversionInput`.
    """
    programs = [_convertible(entry) for entry in entry_points]
    file = _convert(programs, static_quantization())
    make_inputs_and_outputs_float(file)
    for graph in file.subgraphs:
        rename_values(graph, _first_module)
    return file


def convert_integers(entry_points: Sequence[EntryPoint]) -> Any:
    """Like `convert_int8`, for modules in which every value is an integer; so is it in the file.

    Args:
        entry_points: see `export.targets.ConversionInput`.

    Raises:
        ConversionError: an operator remains that computes in float.
    """
    programs = [
        replace(entry, module=with_float_weights(_graph_module(entry))) for entry in entry_points
    ]
    file = _convert(programs)
    make_integers(file)
    for graph in file.subgraphs:
        rename_values(graph, _first_module)
    return file


def _convertible(entry: EntryPoint) -> EntryPoint:
    return replace(entry, module=convertible(_graph_module(entry)))


def _graph_module(entry: EntryPoint) -> fx.GraphModule:
    assert isinstance(entry.module, fx.GraphModule)
    return entry.module


def _first_module(chain: str) -> str:
    """The module that a value of a `convertible` model names; the first if several were merged."""
    name = chain.partition(";")[0]
    return "" if name in {class_link(wrapper) for wrapper in _WRAPPERS.values()} else name


@faster_conversion()
def _convert(entry_points: Sequence[EntryPoint], quantization: Any = None) -> Any:
    """The converter's result as a `ModelT`, with a subgraph for each entry point in order."""
    import litert_torch  # takes seconds, and running files does not need it

    # The converter prints its progress on stdout, where commands print their results.
    with contextlib.redirect_stdout(sys.stderr):
        converter = litert_torch.Converter()
        for entry in entry_points:
            names = tuple(info.name for info in entry.inputs)
            converter.add_signature(
                signature_name(entry.name),
                _WRAPPERS[names](entry),
                sample_kwargs=dict(zip(names, _file_inputs(entry), strict=True)),
            )
        converted = converter.convert(quant_config=quantization)
        file = flatbuffer.unpack(converted.model_content())
    file.description = "lvt-mobile"
    return file


def _file_inputs(entry: EntryPoint) -> list[Tensor]:
    """Zeros in the layouts of the file: images are NHWC."""
    return [
        zeros.permute(0, 2, 3, 1).contiguous() if info.name == "image" else zeros
        for info, zeros in zip(entry.inputs, entry.example_inputs(), strict=True)
    ]
