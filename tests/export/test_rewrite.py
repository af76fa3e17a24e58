"""Rewrites are exact: float64 to 1e-9, float32 to 1e-4, for any size, heads and weights.

1e-9 in float64 leaves room for the summation order only; a wrong tap, border or scale changes
results by far more. Weights are random with a spread that makes attention decide.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from export.capabilities import RECIPES, Recipe
from export.rewrite import fit_positions, rewrite
from lvt.attention import CSA, RASA, OutlookAttention
from lvt.config import LVTConfig
from lvt.layers import Mlp
from lvt.models import ModelSpec, build_random, named_outputs
from lvt.semantic import SegFormerHead
from tests.conftest import TINY_ABLATION, tiny

SIDE = st.integers(min_value=1, max_value=17)
SEED = st.integers(min_value=0, max_value=2**32 - 1)
EXAMPLES = settings(max_examples=30, deadline=None)

CHANNELS_LAST: tuple[Recipe, ...] = ("onnxruntime", "onnxruntime_int8")
"""Recipes whose modules take and return what the reference's do."""

PRECISIONS = ((torch.float64, 1e-9, 2.0), (torch.float32, 1e-4, 1.0))
"""Type, tolerance relative to the largest output, spread of the random weights.

With a spread of 2 the recursion of RASA amplifies rounding: float32 then leaves its own float64
result by up to 5e-2 of the range, in the reference as in any rewrite. Such weights can only be
compared in float64; float32 takes a spread at which it agrees to 1e-6.
"""


def randomise(module: nn.Module, seed: int, spread: float = 2.0) -> nn.Module:
    """Random parameters and statistics; a spread of 2 makes softmax far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            random = torch.randn(value.shape, generator=generator, dtype=torch.float64)
            scale = spread if value.ndim > 1 else 0.5
            fan_in = max(1, value[0].numel()) if value.ndim > 1 else 1
            offset = 1.0 if name.endswith(("norm.weight", "bn.weight")) else 0.0
            random = random * scale / fan_in**0.5 + offset
            value.copy_(random.abs() + 0.5 if "running_var" in name else random)
    return module.eval()


def assert_within(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.shape == expected.shape
    scale = max(1.0, float(expected.abs().max()))
    assert float((actual - expected).abs().max()) <= tolerance * scale, expected.dtype


def assert_exact(
    make: Callable[[], nn.Module],
    shape: tuple[int, ...],
    seed: int,
    recipe: Recipe = "onnxruntime",
    into: Callable[[Tensor], Tensor] = lambda x: x,
) -> None:
    """`into`: from the reference's layout to the rewrite's, for input and output."""
    generator = torch.Generator().manual_seed(seed + 1)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    for dtype, tolerance, spread in PRECISIONS:
        module = randomise(make().to(dtype), seed, spread)
        replacement = rewrite(module, recipe)
        assert type(replacement) is not type(module)
        with torch.no_grad():
            expected = into(module(x.to(dtype)))
            actual = replacement(into(x.to(dtype)))
        assert_within(actual, expected, tolerance)


def assert_model_is_exact(spec: ModelSpec, size: tuple[int, int], recipe: Recipe) -> None:
    image = torch.randn((2, 3, *size), dtype=torch.float64)
    for dtype, tolerance, spread in PRECISIONS:
        model = randomise(build_random(spec).to(dtype), 3, spread)
        with torch.no_grad():
            expected = named_outputs(spec, model(image.to(dtype)))
            actual = named_outputs(spec, rewrite(model, recipe)(image.to(dtype)))
        for name, value in expected.items():
            assert_within(actual[name], value, tolerance)


@pytest.mark.parametrize("window", [CSA, OutlookAttention])
@pytest.mark.parametrize("recipe", CHANNELS_LAST)
@EXAMPLES
@given(SIDE, SIDE, st.integers(1, 3), st.integers(1, 4), st.sampled_from([4, 8]), SEED)
def test_csa(
    recipe: Recipe,
    window: type[CSA | OutlookAttention],
    height: int,
    width: int,
    batch: int,
    heads: int,
    head_width: int,
    seed: int,
) -> None:
    """One-pixel maps and odd sides: ragged pooling and cut windows are where errors hide."""
    dim = heads * head_width
    assert_exact(lambda: window(dim, heads), (batch, height, width, dim), seed, recipe)


@EXAMPLES
@given(
    SIDE, SIDE, st.integers(1, 2), st.integers(1, 3), st.sampled_from([1, 2, 4]), SEED, st.data()
)
def test_rasa(
    height: int,
    width: int,
    heads: int,
    sr_ratio: int,
    recursion: int,
    seed: int,
    data: st.DataObject,
) -> None:
    """Every reduction and recursion depth, with and without multi-scale queries."""
    height, width = max(height, sr_ratio), max(width, sr_ratio)
    batch = data.draw(st.integers(1, 2))
    dilations = data.draw(st.sampled_from([(1, 3, 5), (1,), (2, 7), ()]))
    dim = heads * 4

    def make() -> nn.Module:
        return RASA(dim, heads, sr_ratio=sr_ratio, dilations=dilations, recursion=recursion)

    assert_exact(make, (batch, height, width, dim), seed)


@EXAMPLES
@given(SIDE, SIDE, st.integers(1, 3), SEED)
def test_mlp(height: int, width: int, batch: int, seed: int) -> None:
    assert_exact(lambda: Mlp(6, 10), (batch, height, width, 6), seed)


@pytest.mark.parametrize("recipe", CHANNELS_LAST)
@EXAMPLES
@given(st.integers(4, 70), st.integers(4, 70), st.integers(2, 12), SEED)
def test_segformer_head(recipe: Recipe, height: int, width: int, classes: int, seed: int) -> None:
    """Folding through BatchNorm and the resizes, at sizes whose levels do not divide evenly."""
    dims = (3, 4, 5, 6)
    generator = torch.Generator().manual_seed(seed)
    maps = tuple(
        torch.randn(
            (2, dim, -(-height // (1 << i)), -(-width // (1 << i))),
            generator=generator,
            dtype=torch.float64,
        )
        for i, dim in enumerate(dims)
    )
    for dtype, tolerance, spread in PRECISIONS:
        head = randomise(SegFormerHead(dims, classes, dim=8).to(dtype), seed, spread)
        inputs = tuple(x.to(dtype) for x in maps)
        with torch.no_grad():
            expected, actual = head(inputs), rewrite(head, recipe)(inputs)
        assert_within(actual, expected, tolerance)


SPECS = [
    ModelSpec("backbone", tiny()),
    ModelSpec("backbone", tiny(), output_norms=True),
    ModelSpec("classification", tiny(), 7),
    ModelSpec("classification", tiny(3), 7, pooled=True),
    ModelSpec("semantic", tiny(1), 5, decoder_dim=24),
    ModelSpec("semantic", TINY_ABLATION["volo_d0"], 5, decoder_dim=24),
    ModelSpec("classification", TINY_ABLATION["volo_d0_csa_rasa"], 7),
]


@pytest.mark.parametrize("recipe", CHANNELS_LAST)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.task)
@pytest.mark.parametrize("size", [(64, 96), (45, 71), (25, 25)], ids=str)
def test_whole_models(recipe: Recipe, spec: ModelSpec, size: tuple[int, int]) -> None:
    assert_model_is_exact(spec, size, recipe)


def test_the_original_is_left_alone() -> None:
    """Parity compares with the reference after the rewrite; shared weights could hide a fold."""
    model = build_random(ModelSpec("semantic", tiny(), 5))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    rewritten = rewrite(model, "onnxruntime")
    for parameter in rewritten.parameters():
        parameter.data.zero_()
    after = model.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


@pytest.mark.parametrize("recipe", RECIPES)
def test_fitted_positions_are_the_reference_s(recipe: Recipe) -> None:
    """A constant of the wrong size or layout would shift what every token says of its place."""
    spec = ModelSpec("backbone", TINY_ABLATION["volo_d0_csa"])
    model = build_random(spec).double()
    model.get_parameter("backbone.1.0.positions").data.normal_()
    image = torch.randn(1, 3, 61, 98, dtype=torch.float64)
    rewritten = rewrite(model, recipe)
    fit_positions(rewritten, spec.config.map_size((61, 98), stage=1))
    assert rewritten.get_parameter("backbone.1.0.positions").shape == (1, 24, 3, 6)
    assert model.get_parameter("backbone.1.0.positions").shape == (1, 24, 14, 14)
    with torch.no_grad():
        for expected, actual in zip(model(image), rewritten(image), strict=True):
            assert_within(actual, expected, 1e-9)


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        rewrite(build_random(ModelSpec("backbone", tiny())).train(), "onnxruntime")


def operators(model: nn.Module, image: Tensor) -> set[str]:
    graph = torch.export.export(model, (image,)).graph
    return {str(node.target) for node in graph.nodes if node.op == "call_function"}


@pytest.mark.slow
@pytest.mark.parametrize("config", [tiny(), *TINY_ABLATION.values()], ids=["lvt", *TINY_ABLATION])
@pytest.mark.parametrize("recipe", RECIPES)
def test_no_operator_that_runtimes_refuse(recipe: Recipe, config: LVTConfig) -> None:
    """im2col, col2im, gather and scatter are what keeps the official model off phones; a bicubic
    resize of positions would too."""
    rewritten = rewrite(build_random(ModelSpec("semantic", config, 5)), recipe)
    fit_positions(rewritten, config.map_size((64, 64), stage=1))
    found = operators(rewritten, torch.zeros(1, 3, 64, 64))
    bad = ("im2col", "col2im", "gather", "scatter", "index", "bicubic")
    assert not [name for name in found if any(word in name for word in bad)]


@pytest.mark.parametrize("recipe", CHANNELS_LAST)
def test_no_tensor_above_rank_five(recipe: Recipe) -> None:
    """Core ML, XNNPACK and LiteRT stop at five axes."""
    rewritten = rewrite(build_random(ModelSpec("semantic", tiny(), 5)), recipe)
    graph = torch.export.export(rewritten, (torch.zeros(1, 3, 64, 64),)).graph
    ranks = {
        str(node): node.meta["val"].ndim
        for node in graph.nodes
        if isinstance(node.meta.get("val"), Tensor)
    }
    assert max(ranks.values()) <= 5, {k: v for k, v in ranks.items() if v > 5}
