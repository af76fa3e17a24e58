"""Names of values in a TFLite file: the dotted name of the module that computed each.

litert-torch names a value after the chain of calls that led to it, `package.Class/...;number`. Such
names are long, and where a module calls a grandchild they omit the child. So the calls of the model
are recorded, to look the modules up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Calls = dict[str, dict[str, str]]
"""{module: {link: module that it calls}}; a link is a call as the converter writes it."""

_AMBIGUOUS = ""
"""The module of a link that stands for several modules."""


def rename_values(graph: Any, shorten: Callable[[str], str]) -> None:
    """Names the values of a graph after modules.

    Args:
        graph: a `SubGraphT` from the converter.
        shorten: the dotted name of a module for a chain of calls.
    """
    for tensor in graph.tensors:
        chain, separator, number = tensor.name.decode().rpartition(";")
        if separator:  # not an input, an output, or a constant that the converter added
            tensor.name = f"{shorten(chain)};{number}".encode()


def record_calls(model: nn.Module, inputs: Sequence[Tensor]) -> Calls:
    """Runs the model once and records which module calls which, by dotted name; "" is `model`."""
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
            link = f"{class_link(type(module))}_{name.rpartition('.')[2]}"
            handles.append(module.register_forward_pre_hook(enter(name, link)))
            handles.append(module.register_forward_hook(leave))
    try:
        with torch.inference_mode():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def class_link(module_type: type[nn.Module]) -> str:
    """A class as the converter writes it."""
    return f"{module_type.__module__}.{module_type.__qualname__}"


def module_name(chain: str, calls: Calls) -> str:
    """The dotted name of the module at the end of a chain of calls.

    Args:
        chain: `package.Class/package.Class_attribute/...`, from the converted module down.
        calls: from `record_calls`.

    Returns:
        The name of the innermost module that is certain; "" for the whole model.
    """
    name = ""
    for link in chain.split("/")[2:]:
        inner = calls.get(name, {}).get(link, _AMBIGUOUS)
        if inner == _AMBIGUOUS:
            break
        name = inner
    return name
