"""RASA as convolutions and two batched products, with channels first from query to output.

Linear layers become 1x1 convolutions, so query, multi-scale query and projection stay in the
layout of the runtime's convolutions. Runtimes differ in the form of the two products of attention
that is fast; each form is a function.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.linear import frozen, pointwise
from export.rewrite.norm import ChannelsLast
from export.rewrite.registry import register, rewrite
from lvt.attention import RASA
from lvt.layers import to_nchw, to_nhwc

PROBABILITY_FLOOR = 1e-30
"""1e-23 of the rounding error, yet its product with a value is no subnormal float32 number."""

SOFTMAX_CLAMP_RANGE = 60.0
"""Largest distance of a logit from the row maximum: exp(-60) = 9e-27 vanishes in float32 sums."""

AttentionFunction = Callable[[Tensor, Tensor, int], Tensor]
"""(query (B, C, H, W), keys and values (B, 2C, h, w), heads) -> (B, C, H, W)."""


def floored_softmax(similarity: Tensor) -> Tensor:
    """Softmax over the last axis without subnormal results.

    In trained models many probabilities are subnormal, and matrix products with subnormal numbers
    are many times slower on x86. The floor is far below the rounding error.
    """
    return similarity.softmax(dim=-1).clamp(min=PROBABILITY_FLOOR)


def clamped_softmax(similarity: Tensor) -> Tensor:
    """Softmax over the last axis, of logits clamped to `SOFTMAX_CLAMP_RANGE` below the row maximum.

    It avoids subnormal numbers inside ONNX Runtime's softmax too. The row maximum costs as much as
    that can save, so this form is for int8: `quantization` removes the clamp where the calibrated
    ranges show that it has no effect.
    """
    least = similarity.amax(dim=-1, keepdim=True) - SOFTMAX_CLAMP_RANGE
    return torch.maximum(similarity, least).softmax(dim=-1)


def attention_4d(
    query: Tensor, kv: Tensor, heads: int, softmax: Callable[[Tensor], Tensor] = floored_softmax
) -> Tensor:
    """Attention of all heads as one product of rank four.

    Keys and values have the shape (head width, positions), the memory order of a channels-first
    map, so the large product with the query needs no transposed copy.
    """
    batch, dim, height, width = query.shape
    kv = kv.reshape(batch, 2, heads, dim // heads, -1)
    key, value = kv[:, 0], kv[:, 1]
    query = query.reshape(batch, heads, dim // heads, height * width)
    similarity = query.transpose(2, 3) @ key  # (B, heads, HW, hw)
    # The probabilities are the left operand, whose elements are read least often; this too limits
    # the cost of very small numbers.
    out = (softmax(similarity) @ value.transpose(2, 3)).transpose(2, 3)  # (B, heads, d, HW)
    return out.reshape(batch, dim, height, width)


def attention_bmm(query: Tensor, kv: Tensor, heads: int) -> Tensor:
    """Attention as batched products of rank three, without `expand`, `squeeze` or `unbind`.

    XNNPACK has none of these.
    """
    batch, dim, height, width = query.shape
    count, head_width = batch * heads, dim // heads
    key = kv[:, :dim].reshape(count, head_width, -1)
    value = kv[:, dim:].reshape(count, head_width, -1)
    query = query.reshape(count, head_width, height * width)
    similarity = torch.bmm(query.transpose(1, 2), key)  # (B * heads, HW, hw)
    out = torch.bmm(floored_softmax(similarity), value.transpose(1, 2)).transpose(1, 2)
    return out.reshape(batch, dim, height, width)


def attention_per_head(query: Tensor, kv: Tensor, heads: int) -> Tensor:
    """Attention head by head, in the layout (B, channels, 1, positions) throughout.

    The Neural Engine keeps channels on axis 1 and positions on the last axis. These products
    contract the channels in place, so only the few keys are transposed, and no map.
    """
    batch, dim, height, width = query.shape
    head_width = dim // heads
    query = query.reshape(batch, dim, 1, height * width)
    kv = kv.reshape(batch, 2 * dim, 1, -1)
    outs = []
    for start in range(0, dim, head_width):
        own = query[:, start : start + head_width]
        key = kv[:, start : start + head_width].transpose(1, 3)  # (B, hw, 1, d)
        value = kv[:, dim + start : dim + start + head_width]
        similarity = torch.einsum("bchq,bkhc->bkhq", own, key)
        attention = similarity.softmax(dim=1)
        outs.append(torch.einsum("bkhq,bchk->bchq", attention, value))
    return torch.cat(outs, dim=1).reshape(batch, dim, height, width)


def attention_by_products(query: Tensor, kv: Tensor, heads: int) -> Tensor:
    """Attention head by head, as products of matrices (positions, head width).

    With channels last, as NPUs store maps, a head is a slice of 32 channels and a position a row:
    no map is transposed.
    """
    batch, dim, height, width = query.shape
    head_width = dim // heads
    query = to_nhwc(query).reshape(batch, 1, height * width, dim)
    kv = to_nhwc(kv).reshape(batch, 1, -1, 2 * dim)
    outs = []
    for start in range(0, dim, head_width):
        own = query[..., start : start + head_width]
        key = kv[..., start : start + head_width]
        value = kv[..., dim + start : dim + start + head_width]
        attention = (own @ key.transpose(2, 3)).softmax(dim=-1)  # (B, 1, HW, hw)
        outs.append(attention @ value)
    return to_nchw(torch.cat(outs, dim=-1).reshape(batch, height, width, dim))


class ConvRASA(nn.Module):
    """Eq. (5)-(8). NCHW in and out, any size and recursion depth.

    Args:
        reference: the trained module.
        norm: the norm after the spatial reduction, NCHW in and out; None without a reduction.
        attend: computes attention.
    """

    def __init__(self, reference: RASA, norm: nn.Module | None, attend: AttentionFunction):
        super().__init__()
        self.heads = reference.heads
        self.recursion = reference.recursion
        self.dilations = () if reference.ds is None else reference.ds.dilations
        self.attend = attend
        dim = reference.proj.in_features
        self.q = pointwise(reference.q.weight)
        # The attention scale is folded into the keys, not the query: SiLU follows the query.
        scaled = reference.kv.weight.clone()
        scaled[:dim] *= reference.scale
        self.kv = pointwise(scaled)
        self.proj = pointwise(reference.proj.weight, reference.proj.bias)
        self.ds = None if reference.ds is None else frozen(reference.ds.weight)
        self.sr = copy.deepcopy(reference.sr) if norm is not None else None
        self.norm = norm

    def asa(self, x: Tensor) -> Tensor:
        """Atrous self-attention, Eq. (5) to (7): (B, C, H, W) in and out."""
        query = self.q(x)
        if self.ds is not None:
            base, query = query, None
            for rate in self.dilations:
                conv = F.conv2d(base, self.ds, padding=rate, dilation=rate, groups=base.shape[1])
                query = F.silu(conv) if query is None else query + F.silu(conv)
        source = x if self.sr is None or self.norm is None else self.norm(self.sr(x))
        return self.proj(self.attend(query, self.kv(source), self.heads))

    def forward(self, x: Tensor) -> Tensor:
        if self.recursion == 1:
            return self.asa(x)
        state = x
        y = F.silu(self.asa(state))
        for _ in range(self.recursion - 1):
            state = y + state
            y = F.silu(self.asa(state))
        return y


class ChannelsLastRASA(ConvRASA):
    """`ConvRASA` with NHWC in and out."""

    def forward(self, x: Tensor) -> Tensor:
        return to_nhwc(super().forward(to_nchw(x)))


def _channels_last_rasa(reference: RASA, attend: AttentionFunction) -> nn.Module:
    reduced = reference.sr_ratio > 1
    norm = ChannelsLast(copy.deepcopy(reference.norm)) if reduced else None
    return ChannelsLastRASA(reference, norm, attend)


def _channels_first_rasa(reference: RASA, recipe: Recipe, attend: AttentionFunction) -> nn.Module:
    norm = rewrite(reference.norm, recipe) if reference.sr_ratio > 1 else None
    return ConvRASA(reference, norm, attend)


@register(RASA, "onnxruntime")
def rewrite_rasa(reference: RASA, _recipe: Recipe) -> nn.Module:
    return _channels_last_rasa(reference, attention_4d)


@register(RASA, "onnxruntime_int8")
def rewrite_rasa_for_onnxruntime_int8(reference: RASA, _recipe: Recipe) -> nn.Module:
    return _channels_last_rasa(reference, partial(attention_4d, softmax=clamped_softmax))


@register(RASA, "xnnpack")
def rewrite_rasa_for_xnnpack(reference: RASA, recipe: Recipe) -> nn.Module:
    return _channels_first_rasa(reference, recipe, attention_bmm)


@register(RASA, "neural_engine")
def rewrite_rasa_for_neural_engine(reference: RASA, recipe: Recipe) -> nn.Module:
    return _channels_first_rasa(reference, recipe, attention_per_head)


@register(RASA, "npu")
def rewrite_rasa_for_npu(reference: RASA, recipe: Recipe) -> nn.Module:
    return _channels_first_rasa(reference, recipe, attention_by_products)
