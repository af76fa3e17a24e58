"""int8's rounding in float: PyTorch's operator, to the bit, and its gradient."""

from __future__ import annotations

import pytest
import torch

from quantization.fake_quant import fake_quantize

PARAMS = [
    (0.0231, 0, 0, 255),
    (0.0231, 255, 0, 255),
    (1 / 3, 117, 0, 255),
    (2.0**-20, -128, -128, 127),
    (1.7e-3, -5, -128, 127),
    (40.0, 12, -128, 127),
]


@pytest.mark.parametrize("params", PARAMS)
def test_the_same_to_the_bit(params: tuple[float, int, int, int]) -> None:
    scale, _, quant_min, quant_max = params
    steps = torch.arange(quant_min - 300, quant_max + 300)
    on_edges = steps * (scale / 2)  # ties, and values beyond both ends
    random = torch.randn(20_000, generator=torch.Generator().manual_seed(0)) * scale * 90
    for values in (on_edges, random, torch.tensor([0.0, -0.0, 1e30, -1e30])):
        kept = values.clone()
        expected = torch.fake_quantize_per_tensor_affine(values, *params)
        assert torch.equal(fake_quantize(values, *params), expected)
        assert torch.equal(values, kept)  # the float value has other readers


def test_gradients_pass_where_nothing_is_cut_off() -> None:
    values = torch.tensor([-9.0, -0.4, 0.0, 0.26, 9.0], requires_grad=True)
    fake_quantize(values, 0.05, 0, -100, 100).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
