"""The stem and the positions of VOLO's frame; its attentions are those of LVT's rewrites."""

from __future__ import annotations

import copy

import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.linear import fold_batch_norm, frozen
from export.rewrite.registry import CHANNELS_FIRST, register
from lvt.config import Size
from lvt.layers import ConvBNReLU, to_nhwc
from lvt.volo import ConvStem, PositionedEmbed, resize_positions


class ChannelsFirstConvStem(nn.Module):
    """`ConvStem` with BatchNorm in the weights. NCHW in and out."""

    def __init__(self, reference: ConvStem):
        super().__init__()
        self.convs = nn.ModuleList(_folded(block) for block in reference.convs)
        self.proj = copy.deepcopy(reference.proj)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.proj(x)


class FoldedConvStem(ChannelsFirstConvStem):
    """NCHW in, NHWC out."""

    def forward(self, x: Tensor) -> Tensor:
        return to_nhwc(super().forward(x))


class ChannelsFirstPositionedEmbed(nn.Module):
    """`PositionedEmbed`, NCHW in and out."""

    def __init__(self, reference: PositionedEmbed):
        super().__init__()
        self.proj = copy.deepcopy(reference.proj)
        self.positions = frozen(reference.positions)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x)
        return x + resize_positions(self.positions, (x.shape[-2], x.shape[-1]))


def fit_positions(model: nn.Module, size: Size) -> None:
    """Resizes the positions of a rewritten model once and for all, in place.

    The graph then holds a constant and no resize, which runtimes do in their own ways.

    Args:
        model: of any frame; one without positions stays as it is.
        size: of the map that they are added to.
    """
    for module in model.modules():
        if isinstance(module, (PositionedEmbed, ChannelsFirstPositionedEmbed)):
            module.positions = frozen(resize_positions(module.positions, size))


def _folded(block: nn.Module) -> nn.Conv2d:
    assert isinstance(block, ConvBNReLU)
    conv = copy.deepcopy(block.conv)
    weight, bias = fold_batch_norm(conv.weight, block.bn)
    conv.weight = frozen(weight.reshape(conv.weight.shape).to(conv.weight.dtype))
    conv.bias = frozen(bias.to(conv.weight.dtype))
    return conv


@register(ConvStem, "onnxruntime")
def rewrite_stem(reference: ConvStem, _recipe: Recipe) -> nn.Module:
    return FoldedConvStem(reference)


@register(ConvStem, *CHANNELS_FIRST)
def rewrite_stem_channels_first(reference: ConvStem, _recipe: Recipe) -> nn.Module:
    return ChannelsFirstConvStem(reference)


@register(PositionedEmbed, *CHANNELS_FIRST)
def rewrite_positioned_embed(reference: PositionedEmbed, _recipe: Recipe) -> nn.Module:
    return ChannelsFirstPositionedEmbed(reference)
