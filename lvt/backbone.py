"""The four-stage LVT backbone (Fig. 2, Table 2)."""

from __future__ import annotations

from torch import Tensor, nn

from lvt.attention import CSA, RASA
from lvt.config import LVTConfig, StageConfig
from lvt.layers import LAYER_NORM_EPS, ConvMlp, Mlp, PatchEmbed, to_nchw


class Block(nn.Module):
    """Transformer block: attention, then MLP, each after LayerNorm and inside a residual. NHWC."""

    def __init__(self, stage: StageConfig, config: LVTConfig):
        super().__init__()
        self.norm1 = nn.LayerNorm(stage.dim, eps=LAYER_NORM_EPS)
        self.norm2 = nn.LayerNorm(stage.dim, eps=LAYER_NORM_EPS)
        self.attn: nn.Module
        self.mlp: nn.Module
        if stage.attention == "csa":
            self.attn = CSA(stage.dim, stage.heads)
            self.mlp = Mlp(stage.dim, stage.mlp_hidden)
        else:
            self.attn = RASA(
                stage.dim,
                stage.heads,
                sr_ratio=stage.sr_ratio,
                dilations=config.dilations,
                recursion=config.recursion,
            )
            self.mlp = ConvMlp(stage.dim, stage.mlp_hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class LVT(nn.Module):
    """Lite Vision Transformer, features only.

    Input: image (B, 3, H, W), any size whose sides are at least `min_side` (25 for the paper's
    model). Output of `forward`: one NCHW map a stage, at strides 4, 8, 16 and 32 (rounded
    up).

    Args:
        config: the architecture.
        output_norms: a LayerNorm after each stage, as in the feature extractor of the official
            classification file; the next stage starts from the normalised map. The detection and
            segmentation files have none.
    """

    def __init__(self, config: LVTConfig, *, output_norms: bool = False):
        super().__init__()
        self.config = config
        self.min_side = self.smallest_side(config)
        self.backbone = nn.ModuleList()
        channels = 3
        for index, stage in enumerate(config.stages):
            first = index == 0
            embed = PatchEmbed(
                channels,
                stage.dim,
                kernel=7 if first else 3,
                stride=4 if first else 2,
                takes_image=first,
            )
            blocks = nn.Sequential(*(Block(stage, config) for _ in range(stage.layers)))
            self.backbone.append(nn.Sequential(embed, blocks))
            channels = stage.dim
        self.downstream_norms = (
            nn.ModuleList(nn.LayerNorm(dim, eps=LAYER_NORM_EPS) for dim in config.dims)
            if output_norms
            else None
        )

    @staticmethod
    def smallest_side(config: LVTConfig) -> int:
        """The smallest image side whose every spatial reduction still has an output."""
        sides = (4 * 2**depth * (s.sr_ratio - 1) + 1 for depth, s in enumerate(config.stages))
        return max(sides)

    def stages(self, image: Tensor) -> list[Tensor]:
        """The stages' outputs, NHWC.

        Raises:
            ValueError: a side of the image is below `min_side`.
        """
        height, width = image.shape[-2:]
        if min(height, width) < self.min_side:
            raise ValueError(
                f"image is {height}x{width}; each side must be at least {self.min_side} pixels"
            )
        maps: list[Tensor] = []
        x = image
        for index, stage in enumerate(self.backbone):
            x = stage(x)
            if self.downstream_norms is not None:
                x = self.downstream_norms[index](x)
            maps.append(x)
        return maps

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(to_nchw(x) for x in self.stages(image))
