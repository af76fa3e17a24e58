"""Sizes, batches and limits of the reference."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lvt import backbone
from lvt.config import LVT, preset
from lvt.errors import UserError
from tests.conftest import TINY

SIDES = st.integers(min_value=25, max_value=90)


@settings(max_examples=25, deadline=None)
@given(SIDES, SIDES)
def test_any_size_gives_maps_at_strides_rounded_up(height: int, width: int) -> None:
    """Sizes need not be multiples of 32: sides are rounded up at every stage."""
    model = backbone.LVT(TINY).eval()
    with torch.inference_mode():
        maps = model(torch.zeros(1, 3, height, width))
    for index, features in enumerate(maps):
        stride = 4 << index
        assert features.shape == (1, TINY.dims[index], -(-height // stride), -(-width // stride))


def test_images_of_a_batch_do_not_mix() -> None:
    torch.manual_seed(0)
    model = backbone.LVT(TINY).eval()
    images = torch.randn(3, 3, 41, 58)
    with torch.inference_mode():
        together = model(images)
        apart = [model(images[i : i + 1]) for i in range(3)]
    for level, features in enumerate(together):
        alone = torch.cat([maps[level] for maps in apart])
        assert torch.allclose(features, alone, atol=1e-5)


def test_smallest_side() -> None:
    """FACTS: below 25 pixels the stage-2 spatial reduction has no output."""
    model = backbone.LVT(LVT).eval()
    assert model.min_side == 25
    with torch.inference_mode():
        model(torch.zeros(1, 3, 25, 25))
    with pytest.raises(ValueError, match="24x40; each side must be at least 25"):
        model(torch.zeros(1, 3, 24, 40))


def test_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="lvt_r4"):
        preset("lvt_huge")
