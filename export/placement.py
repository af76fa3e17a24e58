"""Placement: which operators of a file run on the accelerator, and which run outside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Fallback = Literal["none", "partial", "total"]


@dataclass(frozen=True)
class Placement:
    """Operators of one file, counted by type.

    Attributes:
        accelerator: what takes the operators in question, such as `XNNPACK`.
        partitions: how many separate pieces the accelerated part is in; each border costs a
            hand-over. None where the runtime does not tell.
        delegated: operators the accelerator takes; by type, or under one name where the file no
            longer tells them apart.
        outside: operators left to the runtime's plain kernels.
        remarks: what else keeps the file from the accelerator or slows it there, a phrase each.
    """

    accelerator: str
    partitions: int | None
    delegated: Mapping[str, int]
    outside: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def fallback(self) -> Fallback:
        """Whether anything runs beside the accelerator."""
        if not any(self.outside.values()):
            return "none"
        return "partial" if any(self.delegated.values()) else "total"

    def to_dict(self) -> dict[str, Any]:
        """As it stands in manifests."""
        return {
            "accelerator": self.accelerator,
            "partitions": self.partitions,
            "fallback": self.fallback,
            "delegated": dict(sorted(self.delegated.items())),
            "outside": dict(sorted(self.outside.items())),
            "remarks": list(self.remarks),
        }
