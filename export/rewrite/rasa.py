"""RASA as convolutions and two batched products, in channel-first order from query to output.

Linear layers become 1x1 convolutions, so that query, multi-scale query and projection stay in the
convolution layout of the runtime. Keys and values are used as (head width, positions), which is
how a channel-first map lies in memory: the large product with the query needs no transposed copy.
"""

from __future__ import annotations

import copy

import torch.nn.functional as F
from torch import Tensor, nn

from export.rewrite.linear import frozen, pointwise
from export.rewrite.registry import register
from lvt.attention import RASA
from lvt.layers import to_nchw, to_nhwc

PROBABILITY_FLOOR = 1e-30
"""Times any value it is still a normal float32 number, and 1e-23 of the smallest that counts."""


class ConvRASA(nn.Module):
    """Eq. (5)-(8). NHWC in and out, any size and recursion depth."""

    def __init__(self, reference: RASA):
        super().__init__()
        self.heads = reference.heads
        self.recursion = reference.recursion
        self.dilations = () if reference.ds is None else reference.ds.dilations
        dim = reference.proj.in_features
        self.q = pointwise(reference.q.weight)
        # The attention scale goes into the keys: SiLU stands between it and the query's weights.
        scaled = reference.kv.weight.clone()
        scaled[:dim] *= reference.scale
        self.kv = pointwise(scaled)
        self.proj = pointwise(reference.proj.weight, reference.proj.bias)
        self.ds = None if reference.ds is None else frozen(reference.ds.weight)
        self.reduce = reference.sr_ratio > 1
        if self.reduce:
            self.sr = copy.deepcopy(reference.sr)
            self.norm = copy.deepcopy(reference.norm)

    def asa(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in and out."""
        batch, dim, height, width = x.shape
        query = self.q(x)
        if self.ds is not None:
            base, query = query, None
            for rate in self.dilations:
                conv = F.conv2d(base, self.ds, padding=rate, dilation=rate, groups=dim)
                query = F.silu(conv) if query is None else query + F.silu(conv)
        source = to_nchw(self.norm(to_nhwc(self.sr(x)))) if self.reduce else x
        key, value = self.kv(source).reshape(batch, 2, self.heads, dim // self.heads, -1).unbind(1)
        query = query.reshape(batch, self.heads, dim // self.heads, height * width)
        similarity = query.transpose(2, 3) @ key  # (B, heads, HW, hw)
        # A trained model gives many keys subnormal probabilities, on which x86 is many times
        # slower. What the floor adds is far below rounding. For the same reason the probabilities
        # are the left operand, whose elements are each used least often.
        attention = similarity.softmax(dim=-1).clamp(min=PROBABILITY_FLOOR)
        out = (attention @ value.transpose(2, 3)).transpose(2, 3)  # (B, heads, d, HW)
        return self.proj(out.reshape(batch, dim, height, width))

    def forward(self, x: Tensor) -> Tensor:
        if self.recursion == 1:
            return to_nhwc(self.asa(to_nchw(x)))
        state = to_nchw(x)
        y = F.silu(self.asa(state))
        for _ in range(self.recursion - 1):
            state = y + state
            y = F.silu(self.asa(state))
        return to_nhwc(y)


@register(RASA)
def rewrite_rasa(reference: RASA) -> nn.Module:
    """`ConvRASA` with the reference's weights."""
    return ConvRASA(reference)
