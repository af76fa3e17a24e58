"""Configurations of the backbone: the presets of the paper, and the sizes of feature maps.

Does not import torch, so that commands can read it quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any, Literal, get_args

from lvt.errors import UserError
from lvt.support.validation import whole_number

Task = Literal["backbone", "classification", "semantic", "panoptic"]
TASKS: tuple[Task, ...] = ("backbone", "classification", "semantic", "panoptic")

Size = tuple[int, int]
"""(height, width) in pixels."""

AttentionKind = Literal["csa", "outlook", "rasa", "self"]
"""CSA and RASA, and the attentions that they generalise: in windows, and over the whole map."""

StemLayout = Literal["lvt", "volo"]
"""The stem, the downsampling between stages and the MLPs.

`lvt`: overlapped patch embeddings before every stage, MLPs with a depthwise convolution in stages
with global attention. `volo`: a convolutional stem to stride 8, one downsampling with learned
positions before stage 2, plain MLPs.
"""


@dataclass(frozen=True)
class StageConfig:
    """One stage: a column of Table 2.

    Attributes:
        attention: kind of attention.
        dim: channels.
        heads: attention heads.
        mlp_hidden: hidden width of the MLPs.
        layers: number of blocks.
        sr_ratio: spatial reduction of keys and values (`rasa` and `self` only).

    Raises:
        UserError: a number is out of range, or `dim` is not a multiple of `heads`.
    """

    attention: AttentionKind
    dim: int
    heads: int
    mlp_hidden: int
    layers: int = 2
    sr_ratio: int = 1

    def __post_init__(self) -> None:
        whole_number(self.dim, "dim of a stage", 1, 1 << 13)
        whole_number(self.heads, "heads of a stage", 1, 1 << 10)
        whole_number(self.mlp_hidden, "mlp_hidden of a stage", 1, 1 << 15)
        whole_number(self.layers, "layers of a stage", 1, 1 << 8)
        whole_number(self.sr_ratio, "sr_ratio of a stage", 1, 1 << 6)
        if self.dim % self.heads:
            raise UserError(f"{self.dim} channels cannot be split into {self.heads} heads")


@dataclass(frozen=True)
class LVTConfig:
    """A backbone of four stages, such as that of Table 2.

    Attributes:
        stages: the four stages, shallow to deep.
        recursion: number of times RASA applies ASA (Eq. 8); no parameter depends on it.
        dilations: rates of the shared depthwise kernel of ASA (Eq. 5).
        stem_layout: stem, downsampling and MLPs.

    Raises:
        UserError: a number is out of range; damaged files contain such numbers.
    """

    stages: tuple[StageConfig, ...]
    recursion: int = 2
    dilations: tuple[int, ...] = (1, 3, 5)
    stem_layout: StemLayout = "lvt"

    def __post_init__(self) -> None:
        if len(self.stages) != 4:
            raise UserError(f"a backbone has four stages, not {len(self.stages)}")
        whole_number(self.recursion, "recursion", 1, 1 << 5)
        whole_number(len(self.dilations), "number of dilations", 0, 1 << 3)
        for dilation in self.dilations:
            whole_number(dilation, "dilation", 1, 1 << 6)

    @property
    def dims(self) -> tuple[int, ...]:
        """Output channels of the stages."""
        return tuple(stage.dim for stage in self.stages)

    @property
    def recursive(self) -> bool:
        """Whether the recursion depth changes the outputs."""
        return any(stage.attention == "rasa" for stage in self.stages)

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the stages' maps, in pixels."""
        return (4, 8, 16, 32) if self.stem_layout == "lvt" else (8, 16, 16, 16)

    @property
    def min_side(self) -> int:
        """The smallest image side for which every map and spatial reduction has a pixel."""
        return next(
            side
            for side in count(1)
            if all(
                self.map_size((side, side), index)[0] >= stage.sr_ratio
                for index, stage in enumerate(self.stages)
            )
        )

    def map_size(self, size: tuple[int, int], stage: int) -> tuple[int, int]:
        """Height and width of the map of a stage (from 0) for an image of `size`."""
        height, width = (self._map_side(side, stage) for side in size)
        return height, width

    def _map_side(self, side: int, stage: int) -> int:
        if self.stem_layout == "lvt":  # padded convolutions round up
            return -(-side // self.strides[stage])
        stem_side = -(-side // 2) // 4  # the first convolution is padded; the last one is not
        return stem_side if stage == 0 else stem_side // 2

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as checkpoints and manifests contain it."""
        data = asdict(self)
        data["frame"] = data.pop("stem_layout")  # name of the field in the file format
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LVTConfig:
        """Inverse of `to_dict`.

        Raises:
            UserError: the data does not describe a backbone.
        """
        try:
            stages = tuple(StageConfig(**stage) for stage in data["stages"])
            recursion, dilations = data["recursion"], tuple(data["dilations"])
            stem_layout = data.get("frame", "lvt")  # older files lack it
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"not a backbone configuration: {error}") from error
        kinds = {str(stage.attention) for stage in stages}
        if not kinds <= set(get_args(AttentionKind)) or stem_layout not in get_args(StemLayout):
            raise UserError(
                f"unknown backbone: stem layout {stem_layout} with attentions "
                f"{', '.join(sorted(kinds))}"
            )
        return cls(stages, recursion, dilations, stem_layout)


LVT = LVTConfig(
    stages=(
        StageConfig("csa", dim=64, heads=2, mlp_hidden=256),
        StageConfig("rasa", dim=64, heads=2, mlp_hidden=512, sr_ratio=4),
        StageConfig("rasa", dim=160, heads=5, mlp_hidden=640, sr_ratio=2),
        StageConfig("rasa", dim=256, heads=8, mlp_hidden=1024, sr_ratio=1),
    )
)

LVT_SCALED = LVTConfig(
    stages=(
        StageConfig("csa", dim=64, heads=2, mlp_hidden=256, layers=5),
        StageConfig("rasa", dim=128, heads=4, mlp_hidden=1024, layers=5, sr_ratio=4),
        StageConfig("rasa", dim=320, heads=10, mlp_hidden=1280, layers=6, sr_ratio=2),
        StageConfig("rasa", dim=512, heads=16, mlp_hidden=2048, layers=3, sr_ratio=1),
    )
)
"""Table 3 gives only 24.8/32.2 M parameters and 5.2 GFLOPs for this model.

This configuration has the MLP ratios, reductions and head width of Table 2, and twice the width in
the global stages. Of the numbers of layers near PVTv2-B2's (3, 4, 6, 3), only one meets all three
figures.
"""


def _mobile_volo(local: AttentionKind, global_: AttentionKind) -> LVTConfig:
    """Mobile VOLO of section 5.2, with one attention in the first stage, one in the others.

    Two layers in each stage, 96 and three times 192 channels; heads and MLP ratio as in VOLO-D1.
    """
    recursive = global_ == "rasa"
    return LVTConfig(
        stages=(
            StageConfig(local, dim=96, heads=6, mlp_hidden=288),
            *(StageConfig(global_, dim=192, heads=12, mlp_hidden=576) for _ in range(3)),
        ),
        recursion=2 if recursive else 1,
        dilations=(1, 3, 5) if recursive else (),
        stem_layout="volo",
    )


PRESETS: dict[str, LVTConfig] = {
    "lvt": LVT,
    **{f"lvt_r{depth}": replace(LVT, recursion=depth) for depth in (1, 2, 3, 4)},
    "lvt_scaled": LVT_SCALED,
    "volo_d0": _mobile_volo("outlook", "self"),
    "volo_d0_csa": _mobile_volo("csa", "self"),
    "volo_d0_csa_rasa": _mobile_volo("csa", "rasa"),
}


def preset(name: str) -> LVTConfig:
    """The backbone configuration with the name `name`.

    Raises:
        UserError: there is no such preset.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise UserError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}") from None
