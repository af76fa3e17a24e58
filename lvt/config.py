"""Architecture as data: what Table 2 of the paper fixes, and the presets built from it.

Knows numbers only; it imports neither torch nor any module that computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from lvt.errors import UserError

Task = Literal["backbone", "classification", "semantic", "panoptic"]
TASKS: tuple[Task, ...] = ("backbone", "classification", "semantic", "panoptic")

AttentionKind = Literal["csa", "rasa"]


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


@dataclass(frozen=True)
class LVTConfig:
    """The four-stage backbone of Table 2.

    Attributes:
        stages: the four stages, shallow to deep.
        recursion: number of times RASA applies ASA (Eq. 8); no parameter depends on it.
        dilations: rates of the shared depthwise kernel of ASA (Eq. 5).
    """

    stages: tuple[StageConfig, ...]
    recursion: int = 2
    dilations: tuple[int, ...] = (1, 3, 5)

    @property
    def dims(self) -> tuple[int, ...]:
        """Output channels of the stages."""
        return tuple(stage.dim for stage in self.stages)

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
            return cls(stages, int(data["recursion"]), tuple(data["dilations"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"not a backbone configuration: {error}") from error


LVT = LVTConfig(
    stages=(
        StageConfig("csa", dim=64, heads=2, mlp_hidden=256),
        StageConfig("rasa", dim=64, heads=2, mlp_hidden=512, sr_ratio=4),
        StageConfig("rasa", dim=160, heads=5, mlp_hidden=640, sr_ratio=2),
        StageConfig("rasa", dim=256, heads=8, mlp_hidden=1024, sr_ratio=1),
    )
)

PRESETS: dict[str, LVTConfig] = {
    "lvt": LVT,
    **{f"lvt_r{depth}": replace(LVT, recursion=depth) for depth in (1, 2, 3, 4)},
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
