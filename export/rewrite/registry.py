"""Which function rewrites which module type for which runtime. Knows no particular module."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import TypeVar

from torch import nn

from export.capabilities import RECIPES, Recipe

CHANNELS_FIRST: tuple[Recipe, ...] = ("xnnpack", "xnnpack_int8", "neural_engine")
"""Recipes with channels on axis 1 throughout (NCHW), also where the reference has them last.

In the others every replacement takes and returns what the original does.
"""

_LIKE: dict[Recipe, Recipe] = {"onnxruntime_int8": "onnxruntime", "xnnpack_int8": "xnnpack"}
"""Where the rest of a recipe is taken from that names only what is different in it."""

M = TypeVar("M", bound=nn.Module)
Rewriter = Callable[[M, Recipe], nn.Module]
Refiner = Callable[[M, nn.Module], None]

_REWRITERS: dict[tuple[Recipe, type[nn.Module]], Callable[..., nn.Module]] = {}
_REFINERS: dict[tuple[Recipe, type[nn.Module]], Callable[..., None]] = {}


def register(
    module_types: type[M] | tuple[type[M], ...], *recipes: Recipe
) -> Callable[[Rewriter[M]], Rewriter[M]]:
    """Decorator: the function makes the replacement of such a module from a trained instance.

    Args:
        module_types: of the reference, one or several.
        recipes: those the replacement is for; all of them if none is named.
    """

    def add(function: Rewriter[M]) -> Rewriter[M]:
        for module_type in module_types if isinstance(module_types, tuple) else (module_types,):
            for recipe in recipes or RECIPES:
                _REWRITERS[recipe, module_type] = function
        return function

    return add


def refine(module_type: type[M], recipe: Recipe) -> Callable[[Refiner[M]], Refiner[M]]:
    """Decorator: the function is given such a module and its copy with rewritten parts.

    It may change parts of the copy to what only the whole knows to be right. Other recipes that
    take their rewriters from this one do without.
    """

    def add(function: Refiner[M]) -> Refiner[M]:
        _REFINERS[recipe, module_type] = function
        return function

    return add


def _refined(model: M, duplicate: M, recipe: Recipe) -> M:
    function = _REFINERS.get((recipe, type(model)))
    if function is not None:
        function(model, duplicate)
    return duplicate


def registered(recipe: Recipe) -> tuple[type[nn.Module], ...]:
    """The module types that a recipe rewrites."""
    recipes = (recipe, _LIKE.get(recipe))
    types = (module_type for known, module_type in _REWRITERS if known in recipes)
    return tuple(dict.fromkeys(types))


def _rewriter(recipe: Recipe, module_type: type[nn.Module]) -> Callable[..., nn.Module] | None:
    own = _REWRITERS.get((recipe, module_type))
    if own is None and recipe in _LIKE:
        return _rewriter(_LIKE[recipe], module_type)
    return own


def rewrite(model: M, recipe: Recipe) -> M:
    """A rewritten copy of `model`; the original is left as it is.

    Args:
        model: a reference model or module, in evaluation mode.
        recipe: what it is rewritten for.

    Raises:
        ValueError: the model is in training mode (BatchNorm could not be folded).
    """
    if model.training:
        raise ValueError("rewrite a model in evaluation mode: call .eval() first")
    # The exact type decides: a subclass may compute something else.
    function = _rewriter(recipe, type(model))
    if function is not None:
        return function(model, recipe)  # type: ignore[return-value]
    return rewrite_children(model, recipe)


def rewrite_children(model: M, recipe: Recipe) -> M:
    """A copy of `model` itself, with its submodules rewritten."""
    duplicate = copy.copy(model)
    duplicate._parameters = copy.deepcopy(model._parameters)
    duplicate._buffers = copy.deepcopy(model._buffers)
    duplicate._modules = {
        name: None if child is None else rewrite(child, recipe)
        for name, child in model._modules.items()
    }
    return _refined(model, duplicate, recipe)


def rewrite_only(model: M, recipe: Recipe, types: Collection[type[nn.Module]]) -> M:
    """A copy in which only modules of some types are rewritten, to tell what each is worth.

    Args:
        model: a reference model, in evaluation mode.
        recipe: one whose replacements take and return what the original does.
        types: of `registered(recipe)`.
    """
    assert recipe not in CHANNELS_FIRST
    if type(model) in types:
        return rewrite(model, recipe)
    partly = copy.deepcopy(model)
    for name, child in model._modules.items():
        if child is not None:
            partly._modules[name] = rewrite_only(child, recipe, types)
    return _refined(model, partly, recipe)
