"""Normalisation over channels in NCHW, with operators that accelerators support.

XNNPACK has no reduction over channels, but a mean over channels is a 1x1 convolution with one
output channel. Core ML fuses means and products into its own layer normalisation.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.linear import frozen
from export.rewrite.registry import register
from lvt.layers import to_nchw, to_nhwc


class ChannelsLast(nn.Module):
    """Applies a module for NHWC maps to NCHW maps."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return to_nchw(self.inner(to_nhwc(x)))


class ConvLayerNorm(nn.Module):
    """LayerNorm over axis 1 of (B, C, H, W), with both means as 1x1 convolutions to one channel."""

    def __init__(self, reference: nn.LayerNorm):
        super().__init__()
        (dim,) = reference.normalized_shape
        dtype = reference.weight.dtype
        self.average = frozen(torch.full((1, dim, 1, 1), 1 / dim, dtype=dtype))
        self.eps = frozen(torch.full((1,), reference.eps, dtype=dtype))
        self.weight = frozen(reference.weight.reshape(1, dim, 1, 1))
        self.bias = frozen(reference.bias.reshape(1, dim, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        # Computed from centred values: mean(x^2) - mean(x)^2 would cancel significant digits.
        centred = x - F.conv2d(x, self.average)
        variance = F.conv2d(centred * centred, self.average, self.eps)
        return centred * variance.rsqrt() * self.weight + self.bias


class MeanLayerNorm(nn.Module):
    """LayerNorm over axis 1 of (B, C, H, W), with plain means."""

    def __init__(self, reference: nn.LayerNorm):
        super().__init__()
        (dim,) = reference.normalized_shape
        self.eps = reference.eps
        self.weight = frozen(reference.weight.reshape(1, dim, 1, 1))
        self.bias = frozen(reference.bias.reshape(1, dim, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        variance = (centred * centred).mean(dim=1, keepdim=True)
        return centred * (variance + self.eps).rsqrt() * self.weight + self.bias


class PooledGroupNorm(nn.Module):
    """GroupNorm of (B, C, H, W): spatial means, then means over the channels of each group.

    The means over channels are a 1x1 convolution with a block matrix, so no axis is split.
    """

    def __init__(self, reference: nn.GroupNorm):
        super().__init__()
        dim, size = reference.num_channels, reference.num_channels // reference.num_groups
        dtype = reference.weight.dtype
        group = torch.arange(dim) // size
        block = (group[:, None] == group[None, :]).to(dtype) / size
        self.average = frozen(block[:, :, None, None])
        self.eps = frozen(torch.full((dim,), reference.eps, dtype=dtype))
        self.weight = frozen(reference.weight.reshape(1, dim, 1, 1))
        self.bias = frozen(reference.bias.reshape(1, dim, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - F.conv2d(x.mean(dim=(2, 3), keepdim=True), self.average)
        square = (centred * centred).mean(dim=(2, 3), keepdim=True)
        variance = F.conv2d(square, self.average, self.eps)
        return centred * (variance.rsqrt() * self.weight) + self.bias


@register(nn.LayerNorm, "xnnpack")
def rewrite_layer_norm_as_convolutions(reference: nn.LayerNorm, _recipe: Recipe) -> nn.Module:
    return ConvLayerNorm(reference)


@register(nn.LayerNorm, "neural_engine")
def rewrite_layer_norm_as_means(reference: nn.LayerNorm, _recipe: Recipe) -> nn.Module:
    return MeanLayerNorm(reference)


@register(nn.LayerNorm, "npu")
def keep_layer_norm(reference: nn.LayerNorm, _recipe: Recipe) -> nn.Module:
    return ChannelsLast(copy.deepcopy(reference))


@register(nn.GroupNorm, "xnnpack", "neural_engine")
def rewrite_group_norm(reference: nn.GroupNorm, _recipe: Recipe) -> nn.Module:
    return PooledGroupNorm(reference)
