"""The maps of the panoptic model, with operators that XNNPACK and Core ML accelerate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.csa.windows import interleave_parities
from export.rewrite.linear import frozen
from export.rewrite.registry import CHANNELS_FIRST, register, rewrite
from lvt.panoptic.fpn import FPN
from lvt.panoptic.semantic_head import SEMANTIC_LEVELS, SemanticHead


class StaticFPN(nn.Module):
    """`FPN` for inputs in which each level has half the sides of the level before.

    Nearest upsampling by two interleaves four copies of a map. Subsampling by two is a depthwise
    1x1 convolution with stride 2.
    """

    def __init__(self, reference: FPN, recipe: Recipe):
        super().__init__()
        self.lateral_convs = rewrite(reference.lateral_convs, recipe)
        self.fpn_convs = rewrite(reference.fpn_convs, recipe)
        any_weight = next(reference.fpn_convs.parameters())
        self.every_second = frozen(any_weight.new_ones(any_weight.shape[0], 1, 1, 1))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        merged = [conv(x) for conv, x in zip(self.lateral_convs, maps, strict=True)]
        for level in reversed(range(len(merged) - 1)):
            # Two nodes, because ExecuTorch does not delegate the concatenation of one node twice.
            pixels, again = (merged[level + 1].permute(0, 2, 3, 1) for _ in range(2))
            pairs = torch.cat([pixels, again], dim=-1)
            doubled = interleave_parities(pairs, pairs).permute(0, 3, 1, 2)
            merged[level] = merged[level] + doubled
        levels = [conv(x) for conv, x in zip(self.fpn_convs, merged, strict=True)]
        last = levels[-1]
        coarsest = F.conv2d(last, self.every_second, stride=2, groups=last.shape[1])
        return (*levels, coarsest)


class AddedSemanticHead(nn.Module):
    """`SemanticHead` that adds its levels one by one, without a tensor of rank five."""

    def __init__(self, reference: SemanticHead, recipe: Recipe):
        super().__init__()
        self.conv_upsample_layers = rewrite(reference.conv_upsample_layers, recipe)
        self.conv_logits = rewrite(reference.conv_logits, recipe)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        pairs = zip(self.conv_upsample_layers, levels[:SEMANTIC_LEVELS], strict=True)
        first, *others = (layers(level) for layers, level in pairs)
        for other in others:
            first = first + other
        return self.conv_logits(first)


@register(FPN, "xnnpack")
def rewrite_fpn(reference: FPN, recipe: Recipe) -> nn.Module:
    return StaticFPN(reference, recipe)


@register(SemanticHead, *CHANNELS_FIRST)
def rewrite_semantic_head(reference: SemanticHead, recipe: Recipe) -> nn.Module:
    return AddedSemanticHead(reference, recipe)
