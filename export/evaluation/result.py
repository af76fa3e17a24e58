"""The figures of one evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one set of labelled pictures, in percent.

    Attributes:
        images: number of pictures.
        figures: the main figures by name.
        per_class: the main figure of each class.
        per_size: the main figure of small, medium and large objects.
        details: everything, as plain data.
        notes: facts about the data that affect the figures, one line each.
    """

    images: int
    figures: dict[str, float]
    per_class: dict[str, float]
    per_size: dict[str, float]
    details: dict[str, Any]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "images": self.images,
            "figures": _nan_to_none(self.figures),
            "per_class": _nan_to_none(self.per_class),
            "per_size": _nan_to_none(self.per_size),
            "details": _nan_to_none(self.details),
            "notes": list(self.notes),
        }


def _nan_to_none(value: Any) -> Any:
    """The mean over no classes is NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _nan_to_none(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
