"""Channels-first rewrites are exact too: what is NHWC in the reference is NCHW in them.

Tolerances as in `test_rewrite`.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from export.capabilities import RECIPES, Recipe
from export.rewrite import CHANNELS_FIRST, registered, rewrite
from export.rewrite.norm import ChannelsLast
from lvt.attention import CSA, RASA, OutlookAttention
from lvt.classification import ClassBlock
from lvt.config import Task
from lvt.layers import ConvMlp, Mlp, PatchEmbed, to_nchw
from lvt.models import ModelSpec, build_random
from lvt.panoptic.fpn import FPN
from lvt.panoptic.semantic_head import ConvUpsample
from tests.conftest import TINY_ABLATION, tiny
from tests.export.test_rewrite import (
    EXAMPLES,
    SEED,
    SIDE,
    SPECS,
    assert_exact,
    assert_model_is_exact,
    operators,
    randomise,
)

RECIPE = st.sampled_from(CHANNELS_FIRST)
FEW = settings(EXAMPLES, max_examples=15)


def tokens_first(x: Tensor) -> Tensor:
    """(B, N, C) as a map of one row, (B, C, 1, N)."""
    return x.transpose(1, 2)[:, :, None]


@pytest.mark.parametrize("window", [CSA, OutlookAttention])
@EXAMPLES
@given(RECIPE, SIDE, SIDE, st.integers(1, 3), st.integers(1, 4), st.sampled_from([4, 8]), SEED)
def test_csa(
    window: type[CSA | OutlookAttention],
    recipe: Recipe,
    height: int,
    width: int,
    batch: int,
    heads: int,
    head_width: int,
    seed: int,
) -> None:
    dim = heads * head_width
    assert_exact(lambda: window(dim, heads), (batch, height, width, dim), seed, recipe, to_nchw)


@pytest.mark.parametrize("recipe", CHANNELS_FIRST)
def test_csa_with_logits_of_hundreds(recipe: Recipe) -> None:
    """exp() of them is no float32 number: a row's greatest has to be taken off first."""
    module = randomise(CSA(8, 2), 5)
    with torch.no_grad():
        module.attn.bias += torch.linspace(-300, 300, len(module.attn.bias))
    # Rounding of such logits alone can be 4e-5, in the reference as well: not with every picture.
    x = torch.randn(1, 6, 5, 8, generator=torch.Generator().manual_seed(0))
    expected, actual = to_nchw(module(x)), rewrite(module, recipe)(to_nchw(x))
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


@EXAMPLES
@given(
    RECIPE,
    SIDE,
    SIDE,
    st.integers(1, 2),
    st.integers(1, 3),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([(1, 3, 5), (2, 7), ()]),
    SEED,
)
def test_rasa(
    recipe: Recipe,
    height: int,
    width: int,
    heads: int,
    sr_ratio: int,
    recursion: int,
    dilations: tuple[int, ...],
    seed: int,
) -> None:
    height, width = max(height, sr_ratio), max(width, sr_ratio)
    dim = heads * 4

    def make() -> nn.Module:
        return RASA(dim, heads, sr_ratio=sr_ratio, dilations=dilations, recursion=recursion)

    assert_exact(make, (2, height, width, dim), seed, recipe, to_nchw)


@FEW
@given(RECIPE, SIDE, SIDE, SEED)
def test_mlps_and_norm(recipe: Recipe, height: int, width: int, seed: int) -> None:
    shape = (2, height, width, 6)
    assert_exact(lambda: Mlp(6, 10), shape, seed, recipe, to_nchw)
    assert_exact(lambda: ConvMlp(6, 10), shape, seed, recipe, to_nchw)
    assert_exact(lambda: nn.LayerNorm(6, eps=1e-5), shape, seed, recipe, to_nchw)


@FEW
@given(RECIPE, st.integers(2, 20), SEED)
def test_class_block(recipe: Recipe, count: int, seed: int) -> None:
    assert_exact(lambda: ClassBlock(8, 2, 16), (2, count, 8), seed, recipe, tokens_first)


@pytest.mark.parametrize("recipe", CHANNELS_FIRST)
def test_patch_embedding_takes_maps_as_they_are(recipe: Recipe) -> None:
    module = randomise(PatchEmbed(4, 6, kernel=3, stride=2, takes_image=False).double(), 1)
    x = torch.randn(2, 9, 7, 4, dtype=torch.float64)
    expected, actual = to_nchw(module(x)), rewrite(module, recipe)(to_nchw(x))
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("recipe", CHANNELS_FIRST)
def test_group_norm_and_semantic_branch(recipe: Recipe) -> None:
    """An offset as large as a trained map's: the variance must not drown in the mean."""
    module = randomise(ConvUpsample(6, 12, 3, 2).double(), 4)
    x = torch.randn(1, 6, 8, 12, dtype=torch.float64) + 50
    replacement = rewrite(module, recipe)
    assert not any(isinstance(m, nn.GroupNorm) for m in replacement.modules())
    torch.testing.assert_close(replacement(x), module(x), rtol=0, atol=1e-9)
    single = rewrite(module.float(), recipe)(x.float())
    torch.testing.assert_close(single, module(x.float()), rtol=0, atol=1e-4)


@pytest.mark.parametrize("recipe", CHANNELS_FIRST)
def test_pyramid(recipe: Recipe) -> None:
    module = randomise(FPN((3, 4, 5, 6), 8).double(), 2)
    maps = [
        torch.randn(2, dim, 32 >> level, 48 >> level, dtype=torch.float64)
        for level, dim in enumerate((3, 4, 5, 6))
    ]
    with torch.no_grad():
        expected, actual = module(maps), rewrite(module, recipe)(maps)
    assert [level.shape for level in actual] == [level.shape for level in expected]
    for level, value in zip(actual, expected, strict=True):
        torch.testing.assert_close(level, value, rtol=0, atol=1e-9)


@pytest.mark.parametrize("recipe", CHANNELS_FIRST)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.task)
@pytest.mark.parametrize("size", [(64, 96), (45, 71), (25, 25)], ids=str)
def test_whole_models(recipe: Recipe, spec: ModelSpec, size: tuple[int, int]) -> None:
    assert_model_is_exact(spec, size, recipe)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_registered_module_of_a_model_is_replaced(recipe: Recipe) -> None:
    """One that slipped through would bring back a layout or an operator the runtime dislikes."""
    kept = {ClassBlock, Mlp} if recipe not in CHANNELS_FIRST else set()  # see `keep_class_block`
    for spec in SPECS:
        rewritten = rewrite(build_random(spec), recipe)
        # The NPU has a LayerNorm of its own; only the layout around it is ours.
        wrapped = {m.inner for m in rewritten.modules() if isinstance(m, ChannelsLast)}
        others = [m for m in rewritten.modules() if m not in wrapped]
        left = {type(m) for m in others if type(m) in registered(recipe)}
        assert left <= kept


REFUSED_BY_XNNPACK = (
    "layer_norm",
    "group_norm",
    "matmul",
    "einsum",
    "expand",
    "unbind",
    "split",
    "chunk",
    "stack",
    "squeeze",
    "index",
    "gather",
)
"""Operators that its partitioners leave outside, or that become one of those."""


MAP_TASKS: tuple[Task, ...] = ("classification", "semantic")
SMALL_SPECS = [
    ModelSpec(task, config, 5, decoder_dim=24)
    for task in MAP_TASKS
    for config in (tiny(), *TINY_ABLATION.values())
]
SMALL_IDS = [f"{spec.task}-{spec.config.stem_layout}" for spec in SMALL_SPECS]


@pytest.mark.parametrize("spec", SMALL_SPECS, ids=SMALL_IDS)
def test_operators_that_xnnpack_takes(spec: ModelSpec) -> None:
    found = operators(rewrite(build_random(spec), "xnnpack"), torch.zeros(1, 3, 64, 64))
    assert not [name for name in found if any(word in name for word in REFUSED_BY_XNNPACK)]


@pytest.mark.parametrize("spec", SMALL_SPECS, ids=SMALL_IDS)
def test_neural_engine_sees_four_axes_at_most(spec: ModelSpec) -> None:
    rewritten = rewrite(build_random(spec), "neural_engine")
    graph = torch.export.export(rewritten, (torch.zeros(1, 3, 64, 64),)).graph
    ranks = [
        node.meta["val"].ndim for node in graph.nodes if isinstance(node.meta.get("val"), Tensor)
    ]
    assert max(ranks) <= 4
