"""Section 3.1: CSA becomes Outlook Attention, convolution and self-attention in its limits.

All in float64; 1e-12 is the order of summation.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvt.attention import CSA, RASA, OutlookAttention, WindowAttention
from lvt.layers import to_nchw

DIM, HEADS = 12, 3
SIZES = [(8, 10), (7, 5), (1, 4)]


def random_csa() -> CSA:
    torch.manual_seed(3)
    csa = CSA(DIM, HEADS).double().eval()
    for parameter in csa.parameters():
        nn.init.normal_(parameter, std=0.5)
    return csa


def tie(csa: CSA, matrix: Tensor) -> None:
    """W_j = W_v for all j."""
    csa.weight.weight.data = matrix.repeat(CSA.TAPS, 1)[:, :, None, None]


def without_projection(module: WindowAttention) -> None:
    module.proj.weight.data = torch.eye(DIM, dtype=torch.float64)
    module.proj.bias.data.zero_()


def picture(size: tuple[int, int]) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, *size, DIM, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("size", SIZES, ids=str)
@torch.no_grad()
def test_outlook_attention_is_csa_with_one_matrix(size: tuple[int, int]) -> None:
    csa, outlook = random_csa(), OutlookAttention(DIM, HEADS).double().eval()
    outlook.attn, outlook.proj = csa.attn, csa.proj
    assert not torch.allclose(csa(picture(size)), outlook(picture(size)))
    tie(csa, outlook.v.weight)
    torch.testing.assert_close(csa(picture(size)), outlook(picture(size)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
@torch.no_grad()
def test_with_equal_weights_csa_is_a_convolution(size: tuple[int, int]) -> None:
    """Output pixels at even places are window centres, which no other window writes.

    The paper says alpha = 1; after the softmax equal weights are a ninth each.
    """
    csa = random_csa()
    without_projection(csa)
    for parameter in csa.attn.parameters():
        parameter.zero_()
    x = picture(size)
    kernel = csa.weight.weight.reshape(3, 3, DIM, DIM).permute(2, 3, 0, 1)
    expected = F.conv2d(to_nchw(x), kernel, stride=2, padding=1)
    torch.testing.assert_close(9 * to_nchw(csa(x))[:, :, ::2, ::2], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
@torch.no_grad()
def test_with_one_matrix_csa_is_self_attention(size: tuple[int, int]) -> None:
    """Torch's own attention in each window; similarities are predicted (Eq. 3) where Eq. (2)
    multiplies queries and keys."""
    csa = random_csa()
    without_projection(csa)
    matrix = torch.randn(DIM, DIM, dtype=torch.float64)
    tie(csa, matrix)
    x = picture(size)
    height, width = size
    values = F.pad(x @ matrix.T, (0, 0, 1, 2, 1, 2))
    expected = torch.zeros(2, height + 3, width + 3, DIM, dtype=torch.float64)
    for top in range(0, height, 2):
        for left in range(0, width, 2):
            mean = x[:, top : top + 2, left : left + 2].mean(dim=(1, 2))
            similarity = csa.attn(mean).reshape(2, HEADS, 9, 9) * (DIM // HEADS) ** -0.5
            window = values[:, top : top + 3, left : left + 3].reshape(2, 9, HEADS, -1)
            value = window.transpose(1, 2)
            out = F.scaled_dot_product_attention(
                torch.zeros_like(value), torch.zeros_like(value), value, attn_mask=similarity
            )
            out = out.transpose(1, 2).reshape(2, 3, 3, DIM)
            expected[:, top : top + 3, left : left + 3] += out
    expected = expected[:, 1 : 1 + height, 1 : 1 + width]
    torch.testing.assert_close(csa(x), expected, rtol=0, atol=1e-12)


@torch.no_grad()
def test_rasa_without_dilations_and_recursion_is_self_attention() -> None:
    """What stands for VOLO's transformer blocks."""
    torch.manual_seed(0)
    rasa = RASA(DIM, HEADS, dilations=(), recursion=1).double()
    x = picture((4, 6))
    tokens = x.flatten(1, 2)
    query, key, value = (
        part.reshape(2, 24, HEADS, -1).transpose(1, 2)
        for part in (rasa.q(tokens), *rasa.kv(tokens).chunk(2, dim=-1))
    )
    out = F.scaled_dot_product_attention(query, key, value)
    expected = rasa.proj(out.transpose(1, 2).reshape(2, 24, DIM)).reshape(x.shape)
    torch.testing.assert_close(rasa(x), expected, rtol=0, atol=1e-12)
