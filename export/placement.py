"""Placement: which operators of a file run on the accelerator, and which run outside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Fallback = Literal["none", "partial", "total"]


@dataclass(frozen=True)
class GpuPlacement:
    """Whether a GPU accelerator takes a whole file, found by compiling and running it.

    Attributes:
        device: on which device.
        problem: why it does not; None if it does.
    """

    device: str
    problem: str | None

    def to_dict(self) -> dict[str, Any]:
        """The manifest's entry."""
        return {"checked_on": self.device, "problem": self.problem}


@dataclass(frozen=True)
class Placement:
    """Operators of one file, counted by type.

    Attributes:
        accelerator: name of the accelerator, such as `XNNPACK`.
        partitions: number of partitions that run on it; each border costs a hand-over. None if
            the runtime does not report it.
        delegated: operators on the accelerator, by type; under one name if the file does not
            distinguish them.
        outside: operators in the runtime's plain kernels, by type.
        remarks: further obstacles and costs on the accelerator, one phrase each.
    """

    accelerator: str
    partitions: int | None
    delegated: Mapping[str, int]
    outside: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def fallback(self) -> Fallback:
        """How much runs outside the accelerator."""
        if not any(self.outside.values()):
            return "none"
        return "partial" if any(self.delegated.values()) else "total"

    @property
    def count(self) -> int:
        """All operators of the file."""
        return sum(self.delegated.values()) + sum(self.outside.values())

    def to_dict(self) -> dict[str, Any]:
        """The manifest's entry."""
        return {
            "accelerator": self.accelerator,
            "partitions": self.partitions,
            "fallback": self.fallback,
            "delegated": dict(sorted(self.delegated.items())),
            "outside": dict(sorted(self.outside.items())),
            "remarks": list(self.remarks),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            LookupError, TypeError, ValueError, AttributeError: the data is damaged.
        """
        partitions = stored["partitions"]
        delegated, outside = (
            {str(name): int(count) for name, count in stored[part].items()}
            for part in ("delegated", "outside")
        )
        return cls(
            accelerator=str(stored["accelerator"]),
            partitions=None if partitions is None else int(partitions),
            delegated=delegated,
            outside=outside,
            remarks=tuple(str(remark) for remark in stored["remarks"]),
        )
