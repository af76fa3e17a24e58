"""The stem and the position embeddings of VOLO. Its attentions are rewritten like those of LVT."""

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
    """`ConvStem` with BatchNorm folded into the weights. NCHW in and out."""

    def __init__(self, reference: ConvStem):
        super().__init__()
        self.convs = nn.ModuleList(_fold_block(block) for block in reference.convs)
        self.proj = copy.deepcopy(reference.proj)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.proj(x)


class FoldedConvStem(ChannelsFirstConvStem):
    """`ConvStem` with BatchNorm folded into the weights. NCHW in, NHWC out."""

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
    """Resizes the position embeddings of a rewritten model to one map size, in place.

    The exported graph then holds a constant instead of a resize, which runtimes compute
    differently.

    Args:
        model: a rewritten model; one without position embeddings does not change.
        size: height and width of the map that they are added to.
    """
    for module in model.modules():
        if isinstance(module, (PositionedEmbed, ChannelsFirstPositionedEmbed)):
            module.positions = frozen(resize_positions(module.positions, size))


def _fold_block(block: nn.Module) -> nn.Conv2d:
    """The convolution of a `ConvBNReLU` with BatchNorm folded into it."""
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
