"""The backbone with channels first (NCHW) from the stem to the last map, without transposes."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from export.capabilities import Recipe
from export.rewrite.registry import CHANNELS_FIRST, register, rewrite
from lvt.backbone import LVT
from lvt.layers import PatchEmbed


class ChannelsFirstPatchEmbed(nn.Module):
    """`PatchEmbed`, NCHW in and out, for images and for features."""

    def __init__(self, reference: PatchEmbed, recipe: Recipe):
        super().__init__()
        self.proj = copy.deepcopy(reference.proj)
        self.norm = rewrite(reference.norm, recipe)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x))


class ChannelsFirstLVT(nn.Module):
    """`LVT` with NCHW between its modules; the modules keep their names."""

    def __init__(self, reference: LVT, recipe: Recipe):
        super().__init__()
        # `Block` itself needs no rewrite: it adds and calls its submodules in any layout.
        self.backbone = rewrite(reference.backbone, recipe)
        norms = reference.downstream_norms
        self.downstream_norms = None if norms is None else rewrite(norms, recipe)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps: list[Tensor] = []
        x = image
        for index, stage in enumerate(self.backbone):
            x = stage(x)
            if self.downstream_norms is not None:
                x = self.downstream_norms[index](x)
            maps.append(x)
        return tuple(maps)


@register(PatchEmbed, *CHANNELS_FIRST)
def rewrite_patch_embed(reference: PatchEmbed, recipe: Recipe) -> nn.Module:
    return ChannelsFirstPatchEmbed(reference, recipe)


@register(LVT, *CHANNELS_FIRST)
def rewrite_lvt(reference: LVT, recipe: Recipe) -> nn.Module:
    return ChannelsFirstLVT(reference, recipe)
