"""PyTorch to TFLite through litert-torch."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from export.targets.tflite import flatbuffer, int8
from lvt.config import Size
from lvt.models import ModelSpec, named_outputs

INPUT = "image"


class ChannelsLast(nn.Module):
    """A model of ours that takes (1, H, W, 3) and returns its outputs by name.

    The image is named by `forward`, the outputs by the dictionary: the converter turns both into
    the file's signature, and moves the transpose into the first convolution, which wants NHWC.
    """

    def __init__(self, model: nn.Module, spec: ModelSpec):
        super().__init__()
        self.model = model
        self.spec = spec
        self.eval()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return named_outputs(self.spec, self.model(image.permute(0, 3, 1, 2)))


def convert(model: nn.Module, spec: ModelSpec, size: Size) -> Any:
    """The model as a `ModelT`, every value named after the module that computed it.

    Args:
        model: (1, 3, *size) to the outputs of `spec`.
    """
    file = _converted(model, spec, size)
    calls = record_calls(model, torch.zeros(1, 3, *size))
    _rename(file, lambda chain: module_name(chain, calls))
    return file


def convert_int8(module: fx.GraphModule, spec: ModelSpec, size: Size) -> Any:
    """Like `convert`, of a model that holds int8 weights and perhaps rounds its activations.

    Inputs and outputs of the file are float32 all the same.

    Args:
        module: see `export.targets.ConversionInput`.
    """
    file = _converted(int8.convertible(module), spec, size, int8.static_quantization())
    int8.float_ends(file)
    _rename(file, _first_module)
    return file


def _first_module(chain: str) -> str:
    """The module that a value of `int8.convertible` names, the first where several are merged."""
    name = chain.partition(";")[0]
    return "" if name == _link(ChannelsLast) else name


def _converted(model: nn.Module, spec: ModelSpec, size: Size, quantization: Any = None) -> Any:
    """What the converter makes of it."""
    import litert_torch  # takes seconds; who only runs files does not need it

    # It reports progress on stdout, which is for the results of our commands.
    with contextlib.redirect_stdout(sys.stderr):
        converted = litert_torch.convert(
            ChannelsLast(model, spec),
            sample_kwargs={INPUT: torch.zeros(1, *size, 3)},
            quant_config=quantization,
        )
        file = flatbuffer.unpack(converted.model_content())
    file.description = "lvt-mobile"
    return file


def _rename(file: Any, shorten: Callable[[str], str]) -> None:
    """Names values after modules: `shorten` makes a dotted name of a chain of calls."""
    for graph in file.subgraphs:
        for tensor in graph.tensors:
            chain, separator, number = tensor.name.decode().rpartition(";")
            if separator:  # not the image, an output, or a constant of the converter's making
                tensor.name = f"{shorten(chain)};{number}".encode()


Calls = dict[str, dict[str, str]]
"""{module: {link: module that it calls}}; a link is how the converter writes a call."""

_AMBIGUOUS = ""


def record_calls(model: nn.Module, image: Tensor) -> Calls:
    """Which module calls which, all by dotted name; `model` itself is "".

    The converter's names alone do not tell: where a module calls a grandchild, they leave the
    child out.
    """
    calls: Calls = {}
    stack = [""]

    def enter(name: str, link: str) -> Callable[[nn.Module, Any], None]:
        def hook(_module: nn.Module, _inputs: Any) -> None:
            links = calls.setdefault(stack[-1], {})
            links[link] = name if links.get(link, name) == name else _AMBIGUOUS
            stack.append(name)

        return hook

    def leave(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        stack.pop()

    handles = []
    for name, module in model.named_modules():
        if name:
            link = f"{_link(type(module))}_{name.rpartition('.')[2]}"
            handles.append(module.register_forward_pre_hook(enter(name, link)))
            handles.append(module.register_forward_hook(leave))
    try:
        with torch.inference_mode():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _link(kind: type[nn.Module]) -> str:
    """How the converter writes a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def module_name(chain: str, calls: Calls) -> str:
    """The dotted name of the module at the end of a chain of calls as the converter writes it.

    Args:
        chain: `package.Class/package.Class_attribute/...`, from `ChannelsLast` down.
        calls: from `record_calls`.

    Returns:
        The name as far down as it is certain; "" for the whole model.
    """
    name = ""
    for link in chain.split("/")[2:]:
        inner = calls.get(name, {}).get(link, _AMBIGUOUS)
        if inner == _AMBIGUOUS:
            break
        name = inner
    return name
