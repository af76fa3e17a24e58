"""A block's LayerNorm bounds the logits of its CSA: the bound is one, and what follows from it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from export.rewrite import rewrite
from export.rewrite.csa.onnxruntime import (
    MAX_LOGIT,
    BoundedSoftmax,
    RowSoftmax,
    StridedCSA,
    logit_bound,
)
from lvt.attention import OutlookAttention, WindowAttention
from lvt.backbone import Block
from lvt.config import LVTConfig
from tests.conftest import TINY_ABLATION, tiny
from tests.export.test_rewrite import assert_within, randomise

CONFIGS = {"csa": tiny(), "outlook": TINY_ABLATION["volo_d0"]}


def make_block(config: LVTConfig, dtype: torch.dtype, reach: float, seed: int = 0) -> Block:
    """A random block of stage 1 whose logits reach to `reach`."""
    block = Block(config.stages[0], config).to(dtype)
    randomise(block, seed, spread=1.0)
    attention = window_attention(block)
    by = reach / logit_bound(block.norm1, attention)
    with torch.no_grad():
        attention.attn.weight.mul_(by)
        attention.attn.bias.mul_(by)
    return block


def window_attention(block: Block) -> WindowAttention:
    assert isinstance(block.attn, WindowAttention)
    return block.attn


def logits_of(block: Block, x: Tensor) -> Tensor:
    """Eq. (3) for a map whose four pixels are all the same, (1, heads*81)."""
    attention = window_attention(block)
    pixel = block.norm1(x)
    return attention.attn(pixel).reshape(1, -1) * attention.scale


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("seed", range(4))
def test_the_bound_is_reached_and_not_exceeded(config: LVTConfig, seed: int) -> None:
    """By the pixel that is the direction of a logit's own weights, either way round."""
    block = make_block(config, torch.float64, reach=5.0, seed=seed)
    attention = window_attention(block)
    directions = attention.attn.weight * block.norm1.weight
    directions = directions - directions.mean(dim=1, keepdim=True)
    with torch.no_grad():
        # Long pixels, beside which the eps of LayerNorm is nothing.
        found = max(
            float(logits_of(block, 1e4 * sign * direction).abs().max())
            for direction in directions
            for sign in (-1, 1)
        )
    assert found == pytest.approx(logit_bound(block.norm1, attention), rel=1e-6)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize(
    ("reach", "softmax"),
    [(0.99 * MAX_LOGIT, BoundedSoftmax), (1.01 * MAX_LOGIT, RowSoftmax)],
)
def test_softmax_goes_without_its_search_where_logits_are_bounded(
    config: LVTConfig, reach: float, softmax: type[RowSoftmax]
) -> None:
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        block = make_block(config, dtype, reach)
        rewritten = rewrite(block, "onnxruntime")
        assert isinstance(rewritten.attn, StridedCSA)
        assert type(rewritten.attn.softmax) is softmax
        for size in ((6, 8), (5, 3)):
            x = 100 * torch.randn(2, *size, config.stages[0].dim, dtype=dtype)
            with torch.no_grad():
                assert_within(rewritten(x), block(x), tolerance)


def test_logits_beyond_any_exponential_stay_exact() -> None:
    """exp(200) is no float32: such a block must keep the search."""
    block = make_block(CONFIGS["csa"], torch.float32, reach=200.0)
    x = 100 * torch.randn(1, 8, 8, CONFIGS["csa"].stages[0].dim)
    with torch.no_grad():
        found = rewrite(block, "onnxruntime")(x)
        assert torch.isfinite(found).all()
        assert_within(found, block(x), 1e-4)


def test_other_recipes_and_attentions_are_left_alone() -> None:
    block = make_block(CONFIGS["csa"], torch.float32, reach=1.0)
    for recipe in ("onnxruntime_int8", "xnnpack"):
        rewritten = rewrite(block, recipe)
        assert not any(isinstance(module, RowSoftmax) for module in rewritten.modules())
    config = CONFIGS["csa"]
    rasa = Block(config.stages[1], config).eval()
    assert not any(
        isinstance(module, RowSoftmax) for module in rewrite(rasa, "onnxruntime").modules()
    )
    assert isinstance(make_block(CONFIGS["outlook"], torch.float32, 1.0).attn, OutlookAttention)
