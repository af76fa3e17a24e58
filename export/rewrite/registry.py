"""Which function rewrites which module type. Knows no particular module."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)
Rewriter = Callable[[M], nn.Module]

_REWRITERS: dict[type[nn.Module], Callable[..., nn.Module]] = {}


def register(module_type: type[M]) -> Callable[[Rewriter[M]], Rewriter[M]]:
    """Decorator: the function makes the replacement of a `module_type` from a trained instance.

    The replacement takes and returns what the original does, so that each can be tested alone and
    a deviation can be traced to one module.
    """

    def add(function: Rewriter[M]) -> Rewriter[M]:
        _REWRITERS[module_type] = function
        return function

    return add


def registered() -> tuple[type[nn.Module], ...]:
    """The module types that have a rewrite."""
    return tuple(_REWRITERS)


def rewrite(model: M) -> M:
    """A rewritten copy of `model`; the original is left as it is.

    Args:
        model: a reference model or module, in evaluation mode.

    Raises:
        ValueError: the model is in training mode (BatchNorm could not be folded).
    """
    if model.training:
        raise ValueError("rewrite a model in evaluation mode: call .eval() first")
    # The exact type decides: a subclass may compute something else.
    function = _REWRITERS.get(type(model))
    if function is not None:
        return function(model)  # type: ignore[return-value]
    duplicate = copy.copy(model)
    duplicate._parameters = copy.deepcopy(model._parameters)
    duplicate._buffers = copy.deepcopy(model._buffers)
    duplicate._modules = {
        name: None if child is None else rewrite(child) for name, child in model._modules.items()
    }
    return duplicate
