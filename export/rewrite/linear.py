"""Small exact weight transformations that the rewrites share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def pointwise(weight: Tensor, bias: Tensor | None = None) -> nn.Conv2d:
    """A 1x1 convolution with a matrix (out, in) and a bias (out,)."""
    out_channels, in_channels = weight.shape
    conv = nn.Conv2d(
        in_channels, out_channels, 1, bias=bias is not None, device="meta", dtype=weight.dtype
    )
    conv.weight = frozen(weight[:, :, None, None])
    if bias is not None:
        conv.bias = frozen(bias)
    return conv.eval()


def linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A linear layer with a matrix (out, in) and a bias (out,)."""
    out_features, in_features = weight.shape
    layer = nn.Linear(
        in_features, out_features, bias=bias is not None, device="meta", dtype=weight.dtype
    )
    layer.weight = frozen(weight)
    if bias is not None:
        layer.bias = frozen(bias)
    return layer.eval()


def frozen(tensor: Tensor) -> nn.Parameter:
    """A parameter without gradient; a contiguous copy of the tensor."""
    return nn.Parameter(tensor.detach().clone().contiguous(), requires_grad=False)


def channel_groups(channels: int, size: int) -> Tensor:
    """Membership of channels in groups of `size` neighbours: (channels, groups), float32, 0 or 1.

    A product with the matrix sums each group. A product with its transpose gives each channel the
    value of its group.
    """
    group = torch.arange(channels) // size
    return (group[:, None] == torch.arange(channels // size)).float()


def fold_batch_norm(conv_weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Folds BatchNorm into the convolution before it: the matrix (out, in) and the bias, float64.

    Folding rounds the weights a second time, hence float64.

    Args:
        conv_weight: of a convolution without bias. Kernels larger than 1x1 are flattened.
        norm: with running statistics.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight.double() * torch.rsqrt(norm.running_var.double() + norm.eps)
    weight = conv_weight.double().flatten(1) * gain[:, None]
    bias = norm.bias.double() - norm.running_mean.double() * gain
    return weight, bias
