"""The MLPs of all stages as convolutions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.linear import pointwise
from export.rewrite.registry import CHANNELS_FIRST, register, rewrite_children
from lvt.layers import ConvMlp, Mlp, to_nchw, to_nhwc


class ChannelsFirstMlp(nn.Module):
    """`Mlp` as 1x1 convolutions, NCHW in and out."""

    def __init__(self, reference: Mlp):
        super().__init__()
        self.fc1 = pointwise(reference.fc1.weight, reference.fc1.bias)
        self.fc2 = pointwise(reference.fc2.weight, reference.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class PointwiseMlp(ChannelsFirstMlp):
    """`ChannelsFirstMlp` with NHWC in and out."""

    def forward(self, x: Tensor) -> Tensor:
        return to_nhwc(super().forward(to_nchw(x)))


class ChannelsFirstConvMlp(nn.Module):
    """`ConvMlp`, NCHW in and out."""

    def __init__(self, reference: ConvMlp):
        super().__init__()
        self.fc1, self.depconv, self.fc2 = reference.fc1, reference.depconv, reference.fc2

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.depconv(self.fc1(x))))


@register(Mlp, "onnxruntime")
def rewrite_mlp(reference: Mlp, _recipe: Recipe) -> nn.Module:
    return PointwiseMlp(reference)


@register(Mlp, *CHANNELS_FIRST)
def rewrite_mlp_channels_first(reference: Mlp, _recipe: Recipe) -> nn.Module:
    return ChannelsFirstMlp(reference)


@register(ConvMlp, *CHANNELS_FIRST)
def rewrite_conv_mlp(reference: ConvMlp, recipe: Recipe) -> nn.Module:
    return ChannelsFirstConvMlp(rewrite_children(reference, recipe))
