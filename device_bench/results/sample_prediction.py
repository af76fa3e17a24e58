"""A model's prediction for a sample picture, as stored in result files."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from device_bench.measure.statistics import finite_number, read_optional

_JPEG_MAGIC = b"\xff\xd8\xff"


@dataclass(frozen=True)
class SamplePrediction:
    """A sample picture and the prediction for it.

    Attributes:
        original: the picture, a JPEG file.
        overlay: the prediction drawn over it, a JPEG file; None for a classifier.
        classes: names and percents of the top classes; empty where there is an overlay.
    """

    original: bytes
    overlay: bytes | None
    classes: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files: pictures in base64."""
        return {
            "original": _encode(self.original),
            "overlay": None if self.overlay is None else _encode(self.overlay),
            "classes": [{"name": name, "percent": percent} for name, percent in self.classes],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the data is damaged, or a picture is not a JPEG file.
        """
        return cls(
            original=_decode_jpeg(stored["original"]),
            overlay=read_optional(_decode_jpeg, stored["overlay"]),
            classes=tuple(
                (str(entry["name"]), finite_number(entry["percent"])) for entry in stored["classes"]
            ),
        )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode_jpeg(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if not data.startswith(_JPEG_MAGIC):
        raise ValueError("a picture is not a JPEG file")
    return data
