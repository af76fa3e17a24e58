"""An artifact's answer to a sample picture, as it stands in result files. Draws nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from device_bench.measure.statistics import finite

_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class SamplePrediction:
    """What was asked and what was answered.

    Attributes:
        original: the picture, a JPEG file.
        overlay: the answer drawn over it, a JPEG file; None for a classifier.
        classes: the best, with percent; empty where there is an overlay.
    """

    original: bytes
    overlay: bytes | None
    classes: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As it stands in result files: pictures as base64."""
        return {
            "original": base64.b64encode(self.original).decode(),
            "overlay": None if self.overlay is None else base64.b64encode(self.overlay).decode(),
            "classes": [{"name": name, "percent": percent} for name, percent in self.classes],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is damaged, or a picture is no JPEG file.
        """
        overlay = stored["overlay"]
        classes = ((str(entry["name"]), finite(entry["percent"])) for entry in stored["classes"])
        return cls(
            original=_picture(stored["original"]),
            overlay=None if overlay is None else _picture(overlay),
            classes=tuple(classes),
        )


def _picture(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if not data.startswith(_JPEG):
        raise ValueError("a picture is no JPEG file")
    return data
