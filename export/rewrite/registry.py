"""The table of rewrites by recipe and module type. Knows no particular module."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import TypeVar

from torch import nn

from export.capabilities import RECIPES, Recipe

CHANNELS_FIRST: tuple[Recipe, ...] = ("xnnpack", "xnnpack_int8", "neural_engine", "npu")
"""Recipes with channels on axis 1 (NCHW) throughout, also where the reference has them last.

In the other recipes a replacement has the inputs and outputs of the original.
"""

_BASE_RECIPES: dict[Recipe, Recipe] = {
    "onnxruntime_int8": "onnxruntime",
    "xnnpack_int8": "xnnpack",
    "npu": "neural_engine",
}
"""{recipe: the recipe that it takes a rewrite from if it has none of its own}."""

M = TypeVar("M", bound=nn.Module)
Rewriter = Callable[[M, Recipe], nn.Module]
BlockPass = Callable[[M, nn.Module], None]

_REWRITERS: dict[tuple[Recipe, type[nn.Module]], Callable[..., nn.Module]] = {}
_BLOCK_PASSES: dict[tuple[Recipe, type[nn.Module]], Callable[..., None]] = {}


def register(
    module_types: type[M] | tuple[type[M], ...], *recipes: Recipe
) -> Callable[[Rewriter[M]], Rewriter[M]]:
    """Decorator for a function that makes the replacement of a trained module.

    Args:
        module_types: type or types of the reference module.
        recipes: recipes that use the replacement; none stands for all.
    """

    def add(function: Rewriter[M]) -> Rewriter[M]:
        for module_type in module_types if isinstance(module_types, tuple) else (module_types,):
            for recipe in recipes or RECIPES:
                _REWRITERS[recipe, module_type] = function
        return function

    return add


def register_block_pass(
    module_type: type[M], recipe: Recipe
) -> Callable[[BlockPass[M]], BlockPass[M]]:
    """Decorator for a pass over a module whose submodules were rewritten.

    The function gets the reference module and the rewritten copy. It may change submodules of the
    copy in ways that need knowledge of the whole module. A recipe does not inherit the passes of
    its base recipe.
    """

    def add(function: BlockPass[M]) -> BlockPass[M]:
        _BLOCK_PASSES[recipe, module_type] = function
        return function

    return add


def _run_block_pass(model: M, rewritten: M, recipe: Recipe) -> M:
    """`rewritten`, after the pass that is registered for its type, if there is one."""
    function = _BLOCK_PASSES.get((recipe, type(model)))
    if function is not None:
        function(model, rewritten)
    return rewritten


def registered(recipe: Recipe) -> tuple[type[nn.Module], ...]:
    """The module types that a recipe rewrites."""
    recipes = (recipe, _BASE_RECIPES.get(recipe))
    types = (module_type for registered_for, module_type in _REWRITERS if registered_for in recipes)
    return tuple(dict.fromkeys(types))


def _rewriter(recipe: Recipe, module_type: type[nn.Module]) -> Callable[..., nn.Module] | None:
    rewriter = _REWRITERS.get((recipe, module_type))
    if rewriter is None and recipe in _BASE_RECIPES:
        return _rewriter(_BASE_RECIPES[recipe], module_type)
    return rewriter


def rewrite(model: M, recipe: Recipe) -> M:
    """Returns a rewritten copy of `model`; the original does not change.

    Args:
        model: a reference model or module, in evaluation mode.
        recipe: the recipe to apply.

    Raises:
        ValueError: the model is in training mode (BatchNorm could not be folded).
    """
    if model.training:
        raise ValueError("rewrite a model in evaluation mode: call .eval() first")
    # By exact type, because a subclass may compute something else.
    function = _rewriter(recipe, type(model))
    if function is not None:
        return function(model, recipe)  # type: ignore[return-value]
    return rewrite_children(model, recipe)


def rewrite_children(model: M, recipe: Recipe) -> M:
    """Returns a copy of `model` with rewritten submodules."""
    duplicate = copy.copy(model)
    duplicate._parameters = copy.deepcopy(model._parameters)
    duplicate._buffers = copy.deepcopy(model._buffers)
    duplicate._modules = {
        name: None if child is None else rewrite(child, recipe)
        for name, child in model._modules.items()
    }
    return _run_block_pass(model, duplicate, recipe)


def rewrite_only(model: M, recipe: Recipe, types: Collection[type[nn.Module]]) -> M:
    """Returns a copy in which only modules of some types are rewritten, for ablations.

    Args:
        model: a reference model, in evaluation mode.
        recipe: a recipe that is not in `CHANNELS_FIRST`.
        types: the types to rewrite, of `registered(recipe)`.
    """
    assert recipe not in CHANNELS_FIRST
    if type(model) in types:
        return rewrite(model, recipe)
    partial = copy.deepcopy(model)
    for name, child in model._modules.items():
        if child is not None:
            partial._modules[name] = rewrite_only(child, recipe, types)
    return _run_block_pass(model, partial, recipe)
