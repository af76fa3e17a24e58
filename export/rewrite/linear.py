"""Small exact weight transformations the rewrites share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def pointwise(weight: Tensor, bias: Tensor | None = None) -> nn.Conv2d:
    """The 1x1 convolution with the given matrix (out, in) and bias (out,)."""
    out_channels, in_channels = weight.shape
    conv = nn.Conv2d(
        in_channels, out_channels, 1, bias=bias is not None, device="meta", dtype=weight.dtype
    )
    conv.weight = frozen(weight[:, :, None, None])
    if bias is not None:
        conv.bias = frozen(bias)
    return conv.eval()


def linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """The linear layer with the given matrix (out, in) and bias (out,)."""
    out_features, in_features = weight.shape
    layer = nn.Linear(
        in_features, out_features, bias=bias is not None, device="meta", dtype=weight.dtype
    )
    layer.weight = frozen(weight)
    if bias is not None:
        layer.bias = frozen(bias)
    return layer.eval()


def frozen(tensor: Tensor) -> nn.Parameter:
    """A parameter of its own memory that takes no gradient."""
    return nn.Parameter(tensor.detach().clone().contiguous(), requires_grad=False)


def channel_groups(channels: int, size: int) -> Tensor:
    """One where a channel lies in a group of `size` in a row, (channels, groups) of float32.

    A product with it sums each group; one with its transpose gives each channel its group's value.
    """
    group = torch.arange(channels) // size
    return (group[:, None] == torch.arange(channels // size)).float()


def fold_batch_norm(conv_weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Matrix (out, in) and bias of a bias-free convolution followed by BatchNorm.

    Of a kernel larger than 1x1 the matrix has its pixels side by side, as `flatten(1)` does.

    The folding is done in float64: it is the only place where weights are rounded again.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight.double() * torch.rsqrt(norm.running_var.double() + norm.eps)
    weight = conv_weight.double().flatten(1) * gain[:, None]
    bias = norm.bias.double() - norm.running_mean.double() * gain
    return weight, bias
