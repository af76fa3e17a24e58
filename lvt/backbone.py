"""The backbone: LVT (Fig. 2, Table 2), and the variants of VOLO in the ablation (section 5.2)."""

from __future__ import annotations

from torch import Tensor, nn

from lvt.attention import CSA, RASA, OutlookAttention
from lvt.config import LVTConfig, StageConfig
from lvt.layers import LAYER_NORM_EPS, ConvMlp, Mlp, PatchEmbed, to_nchw
from lvt.volo import ConvStem, PositionedEmbed


class Block(nn.Module):
    """Transformer block: attention, then MLP, each after LayerNorm and inside a residual. NHWC."""

    def __init__(self, stage: StageConfig, config: LVTConfig):
        super().__init__()
        self.norm1 = nn.LayerNorm(stage.dim, eps=LAYER_NORM_EPS)
        self.norm2 = nn.LayerNorm(stage.dim, eps=LAYER_NORM_EPS)
        self.attn = _attention(stage, config)
        has_conv_mlp = stage.attention in ("rasa", "self") and config.stem_layout == "lvt"
        self.mlp = (ConvMlp if has_conv_mlp else Mlp)(stage.dim, stage.mlp_hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def _attention(stage: StageConfig, config: LVTConfig) -> nn.Module:
    if stage.attention == "csa":
        return CSA(stage.dim, stage.heads)
    if stage.attention == "outlook":
        return OutlookAttention(stage.dim, stage.heads)
    is_plain = stage.attention == "self"
    return RASA(
        stage.dim,
        stage.heads,
        sr_ratio=stage.sr_ratio,
        dilations=() if is_plain else config.dilations,
        recursion=1 if is_plain else config.recursion,
    )


def _embedding(config: LVTConfig, index: int) -> nn.Module:
    """The stem or the downsampling before the blocks of a stage."""
    first, dim = index == 0, config.dims[index]
    channels = 3 if first else config.dims[index - 1]
    if config.stem_layout == "lvt":
        kernel, stride = (7, 4) if first else (3, 2)
        return PatchEmbed(channels, dim, kernel=kernel, stride=stride, takes_image=first)
    if first:
        return ConvStem(dim)
    return PositionedEmbed(channels, dim) if index == 1 else nn.Identity()


class LVT(nn.Module):
    """Lite Vision Transformer, features only.

    Input: image (B, 3, H, W) whose sides are at least `min_side` (25 for the paper's model).
    Output of `forward`: one NCHW map for each stage, of the sizes `LVTConfig.map_size` (strides 4,
    8, 16 and 32, rounded up).

    Args:
        config: the architecture.
        output_norms: add a LayerNorm after each stage, as in the feature extractor of the official
            classification code; the next stage gets the normalised map. The official detection
            and segmentation code has no such norms.
    """

    def __init__(self, config: LVTConfig, *, output_norms: bool = False):
        super().__init__()
        self.config = config
        self.min_side = config.min_side
        self.backbone = nn.ModuleList()
        for index, stage in enumerate(config.stages):
            blocks = nn.Sequential(*(Block(stage, config) for _ in range(stage.layers)))
            self.backbone.append(nn.Sequential(_embedding(config, index), blocks))
        self.downstream_norms = (
            nn.ModuleList(nn.LayerNorm(dim, eps=LAYER_NORM_EPS) for dim in config.dims)
            if output_norms
            else None
        )

    def stages(self, image: Tensor) -> list[Tensor]:
        """The outputs of the stages, NHWC.

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
