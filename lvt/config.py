"""Architecture as data: the systems of the paper, and how large their maps are.

Knows numbers only; it imports neither torch nor any module that computes.
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
"""The paper's two, and what each of them generalises: in a window, and over the whole map."""

Frame = Literal["lvt", "volo"]
"""What stands around the attentions.

`lvt`: overlapped patch embeddings before every stage, a depthwise convolution in the MLPs of global
stages. `volo`: a convolutional stem to stride 8, one halving with learned positions before stage 2,
plain MLPs.
"""


@dataclass(frozen=True)
class StageConfig:
    """One column of Table 2."""

    attention: AttentionKind
    dim: int
    heads: int
    mlp_hidden: int
    layers: int = 2
    sr_ratio: int = 1
    """Spatial reduction of keys and values (RASA only)."""

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
    """A four-stage backbone, such as that of Table 2.

    Attributes:
        stages: the four stages, shallow to deep.
        recursion: number of times RASA applies ASA (Eq. 8); no parameter depends on it.
        dilations: rates of the shared depthwise kernel of ASA (Eq. 5).
        frame: what stands around the attentions.

    Raises:
        UserError: numbers that are none, or far beyond any backbone, as damaged files have them.
    """

    stages: tuple[StageConfig, ...]
    recursion: int = 2
    dilations: tuple[int, ...] = (1, 3, 5)
    frame: Frame = "lvt"

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
        """Whether the recursion depth makes a difference."""
        return any(stage.attention == "rasa" for stage in self.stages)

    @property
    def strides(self) -> tuple[int, ...]:
        """Of the stages' maps, in pixels."""
        return (4, 8, 16, 32) if self.frame == "lvt" else (8, 16, 16, 16)

    @property
    def min_side(self) -> int:
        """The smallest image side whose every map and spatial reduction has a pixel."""
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
        if self.frame == "lvt":  # padded convolutions round up
            return -(-side // self.strides[stage])
        first = -(-side // 2) // 4  # the stem halves with padding; the rest has none
        return first if stage == 0 else first // 2

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as it stands in checkpoints and manifests."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LVTConfig:
        """Inverse of `to_dict`.

        Raises:
            UserError: the data does not describe a backbone.
        """
        try:
            stages = tuple(StageConfig(**stage) for stage in data["stages"])
            recursion, dilations = data["recursion"], tuple(data["dilations"])
            frame = data.get("frame", "lvt")  # older files have no other
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"not a backbone configuration: {error}") from error
        kinds = {str(stage.attention) for stage in stages}
        if not kinds <= set(get_args(AttentionKind)) or frame not in get_args(Frame):
            raise UserError(f"unknown backbone: a {frame} frame with {', '.join(sorted(kinds))}")
        return cls(stages, recursion, dilations, frame)


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
"""Table 3 gives 24.8/32.2 M parameters and 5.2 GFLOPs, and no more.

Ours: Table 2 with the widths of the global stages doubled, its MLP ratios, reductions and head
width kept, and the one choice of layers near PVTv2-B2's (3, 4, 6, 3) that meets all three figures.
"""


def _mobile_volo(local: AttentionKind, everywhere: AttentionKind) -> LVTConfig:
    """Section 5.2: two layers a stage, 96 and three times 192 channels, the rest as VOLO-D1's:
    6 and 12 heads, MLPs three times as wide."""
    recursive = everywhere == "rasa"
    return LVTConfig(
        stages=(
            StageConfig(local, dim=96, heads=6, mlp_hidden=288),
            *(StageConfig(everywhere, dim=192, heads=12, mlp_hidden=576) for _ in range(3)),
        ),
        recursion=2 if recursive else 1,
        dilations=(1, 3, 5) if recursive else (),
        frame="volo",
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
    """The backbone configuration called `name`.

    Raises:
        UserError: there is no such preset.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise UserError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}") from None
