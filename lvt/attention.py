"""The paper's two attentions, and those that they generalise. NHWC in and out.

CSA (section 3.1) and Outlook Attention work in windows. RASA (section 3.2) works on the whole map;
without dilations and recursion it is plain self-attention.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvt.layers import LAYER_NORM_EPS, to_nchw, to_nhwc


class WindowAttention(nn.Module):
    """Attention in a 3x3 window at stride 2, with weights predicted as in Eq. (3).

    In every window, output tap i is the sum over input taps j of alpha_ij v_j. The windows'
    outputs are added where they overlap. Any height and width; parts outside the map are cut.
    """

    KERNEL = 3
    STRIDE = 2
    PADDING = 1
    TAPS = KERNEL * KERNEL

    proj: nn.Linear

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        # The submodule names are those of the official checkpoints.
        self.attn = nn.Linear(dim, heads * self.TAPS**2)

    def values(self, x: Tensor) -> Tensor:
        """v_j of every window: (B, H, W, C) -> (B, L, heads, j, head width)."""
        raise NotImplementedError

    def unfold(self, x: Tensor) -> Tensor:
        """The windows of (B, H, W, C), as (B, C, j, L), with zeros beyond the border."""
        taps = F.unfold(to_nchw(x), self.KERNEL, padding=self.PADDING, stride=self.STRIDE)
        return taps.reshape(x.shape[0], x.shape[-1], self.TAPS, -1)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        heads, taps = self.heads, self.TAPS
        windows = -(-height // self.STRIDE) * -(-width // self.STRIDE)

        # Eq. (3): alpha is predicted from the window's mean, not computed from query and key.
        # Ceil mode: a ragged border is averaged over the pixels that exist.
        pooled = F.avg_pool2d(
            to_nchw(x), self.STRIDE, self.STRIDE, ceil_mode=True, count_include_pad=False
        )
        logits = self.attn(to_nhwc(pooled)).reshape(batch, windows, heads, taps, taps)
        alpha = (logits * self.scale).softmax(dim=-1)  # (B, L, heads, i, j)

        out = alpha @ self.values(x)  # (B, L, heads, i, head width)
        out = out.permute(0, 2, 4, 3, 1).reshape(batch, dim * taps, windows)
        out = F.fold(out, (height, width), self.KERNEL, padding=self.PADDING, stride=self.STRIDE)
        return self.proj(to_nhwc(out))


class CSA(WindowAttention):
    """Convolutional Self-Attention, Eq. (4): each input tap has its own matrix, v_j = W_j x_j."""

    def __init__(self, dim: int, heads: int):
        super().__init__(dim, heads)
        self.weight = nn.Conv2d(self.TAPS * dim, self.TAPS * dim, 1, groups=self.TAPS, bias=False)
        self.proj = nn.Linear(dim, dim)

    def values(self, x: Tensor) -> Tensor:
        batch, dim, taps = x.shape[0], x.shape[-1], self.TAPS
        taps_in = self.unfold(x).transpose(1, 2)
        # The BMM of Fig. 3.
        values = self.weight(taps_in.reshape(batch, taps * dim, -1, 1))
        values = values.reshape(batch, taps, self.heads, dim // self.heads, -1)
        return values.permute(0, 4, 2, 1, 3)


class OutlookAttention(WindowAttention):
    """Outlook Attention of VOLO, which CSA generalises: one matrix for all taps, v_j = W_v x_j."""

    def __init__(self, dim: int, heads: int):
        super().__init__(dim, heads)
        self.v = nn.Linear(dim, dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def values(self, x: Tensor) -> Tensor:
        batch, dim = x.shape[0], x.shape[-1]
        values = self.unfold(self.v(x))
        values = values.reshape(batch, self.heads, dim // self.heads, self.TAPS, -1)
        return values.permute(0, 4, 1, 3, 2)


class MultiScaleQuery(nn.Module):
    """Eq. (5): one depthwise 3x3 kernel at several dilations, each through SiLU, summed. NCHW."""

    def __init__(self, dim: int, dilations: tuple[int, ...]):
        super().__init__()
        self.dilations = dilations
        self.weight = nn.Parameter(torch.empty(dim, 1, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, q: Tensor) -> Tensor:
        scales = [
            F.silu(F.conv2d(q, self.weight, padding=rate, dilation=rate, groups=q.shape[1]))  # (7)
            for rate in self.dilations
        ]
        return torch.stack(scales).sum(dim=0)


class RASA(nn.Module):
    """Recursive Atrous Self-Attention, Eq. (8), with keys and values spatially reduced.

    Args:
        dim: channels.
        heads: attention heads.
        sr_ratio: keys and values are computed on a map this many times smaller per side; rows and
            columns left over at the far border are ignored.
        dilations: rates of Eq. (5); empty for plain spatial-reduction attention.
        recursion: how many times ASA is applied.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        sr_ratio: int = 1,
        dilations: tuple[int, ...] = (1, 3, 5),
        recursion: int = 2,
    ):
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.sr_ratio = sr_ratio
        self.recursion = recursion
        self.q = nn.Linear(dim, dim, bias=False)
        self.kv = nn.Linear(dim, 2 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)
        if sr_ratio > 1:
            self.sr = nn.Conv2d(dim, dim, sr_ratio, sr_ratio)
            self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.ds = MultiScaleQuery(dim, dilations) if dilations else None

    def asa(self, x: Tensor) -> Tensor:
        """Atrous Self-Attention: Fig. 4. NHWC in and out."""
        batch, height, width, dim = x.shape
        query = self.q(x)  # Eq. (6)
        if self.ds is not None:
            query = to_nhwc(self.ds(to_nchw(query)))  # Eq. (5)
        source = self.norm(to_nhwc(self.sr(to_nchw(x)))) if self.sr_ratio > 1 else x
        key, value = self.kv(source).reshape(batch, -1, 2, self.heads, dim // self.heads).unbind(2)
        query = query.reshape(batch, height * width, self.heads, dim // self.heads)

        similarity = torch.einsum("bqhd,bkhd->bhqk", query, key) * self.scale
        out = torch.einsum("bhqk,bkhd->bqhd", similarity.softmax(dim=-1), value)
        return self.proj(out.reshape(batch, height, width, dim))

    def forward(self, x: Tensor) -> Tensor:
        if self.recursion == 1:
            return self.asa(x)
        # Eq. (8) with W_F = U_F = 1: the hidden state accumulates, ASA is the non-linearity.
        state = x
        y = F.silu(self.asa(state))
        for _ in range(self.recursion - 1):
            state = y + state
            y = F.silu(self.asa(state))
        return y
