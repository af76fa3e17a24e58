"""Weights in int8: what they are off by, and that no sum of two products overflows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from export.targets.onnx.saturation import PAIR_LIMIT, kernel_order, pair_sums
from quantization.weights import WEIGHT_LIMIT, dequantize_weight, quantize_weight

SHAPES = [((6, 8), 0), ((8, 6), 1), ((5, 7), 0), ((6, 4, 3, 3), 0), ((4, 3, 3, 3), 0)]


def _weight(shape: tuple[int, ...], seed: int) -> Tensor:
    """Some rows alike and positive, where every pair is at its worst."""
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(shape, generator=random)
    weight[:2] = 1 - torch.rand(weight[:2].shape, generator=random) / 100
    return weight


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@given(seed=st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_no_pair_exceeds_the_limit_and_every_weight_is_the_nearest_integer(
    shape: tuple[int, ...], axis: int, seed: int
) -> None:
    weight = _weight(shape, seed)
    rounded, scales = quantize_weight(weight, axis, in_pairs=True)
    rows = kernel_order(rounded.numpy().astype(int), axis)
    sums = np.abs(pair_sums(rows)).max(1)
    assert sums.max() <= PAIR_LIMIT
    # No scale is wider than it has to be.
    full = (sums >= PAIR_LIMIT - 1) | (np.abs(rows).max(1) == WEIGHT_LIMIT)
    assert full.all()
    error = (dequantize_weight(rounded, scales, axis) - weight).abs()
    steps = kernel_order(error.numpy(), axis) / scales.numpy()[:, None]
    assert steps.max() < 0.501


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_without_pairs_every_channel_has_all_its_steps(shape: tuple[int, ...], axis: int) -> None:
    weight = _weight(shape, 0)
    rounded, scales = quantize_weight(weight, axis)
    assert (np.abs(kernel_order(rounded.numpy(), axis)).max(1) == WEIGHT_LIMIT).all()
    error = (dequantize_weight(rounded, scales, axis) - weight).abs()
    assert (kernel_order(error.numpy(), axis) / scales.numpy()[:, None]).max() < 0.501


@pytest.mark.parametrize("first", np.linspace(0.001, 1.27, 400))
def test_two_that_are_rounded_up_do_not_exceed_the_limit(first: float) -> None:
    """x.5 and y.5 add up to a whole number, and rounding both up would add one to it."""
    weight = torch.tensor([[first, 1.28 - first], [1.28 - first, first]])
    rounded, _ = quantize_weight(weight, 0, in_pairs=True)
    assert rounded.to(torch.int32).sum(1).max() <= PAIR_LIMIT


def test_opposite_signs_keep_all_steps() -> None:
    rounded, _ = quantize_weight(torch.tensor([[1.0, -1.0, 0.5]]), 0, in_pairs=True)
    assert rounded.tolist() == [[127, -127, 64]]


def test_convolutions_pair_channels_of_one_place() -> None:
    """ONNX Runtime's kernels go through rows, columns, then channels; see the real ones' test."""
    weight = torch.zeros(1, 4, 1, 2)
    weight[0, 0, 0, 0] = weight[0, 2, 0, 0] = 1.0  # not neighbours
    rounded, _ = quantize_weight(weight, 0, in_pairs=True)
    assert rounded.max() == 127
    weight[0, 1, 0, 0] = 1.0
    rounded, _ = quantize_weight(weight, 0, in_pairs=True)
    assert rounded.max() == 64
