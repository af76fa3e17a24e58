"""Class names and colours."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lvt.errors import UserError

Colour = tuple[int, int, int]

_GOLDEN_RATIO = 0.618033988749895


@dataclass(frozen=True)
class Labels:
    """One name and one RGB colour for each class index."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]

    def to_dict(self) -> dict[str, Any]:
        """As it stands in manifests."""
        return {"names": list(self.names), "colours": [list(c) for c in self.colours]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Labels:
        """Inverse of `to_dict`.

        Raises:
            UserError: names and colours are missing or of different lengths.
        """
        try:
            names = tuple(str(name) for name in data["names"])
            colours = tuple((int(r), int(g), int(b)) for r, g, b in data["colours"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"the manifest's labels are not understood: {error!r}") from error
        if len(names) != len(colours):
            raise UserError(f"the manifest has {len(names)} names for {len(colours)} colours")
        return cls(names, colours)


def spread_colours(count: int) -> tuple[Colour, ...]:
    """Colours far apart for neighbouring indices: golden-ratio steps around the hue circle."""
    colours = []
    for index in range(count):
        hue = (index * _GOLDEN_RATIO) % 1
        red, green, blue = colorsys.hsv_to_rgb(
            hue, 0.55 + 0.3 * (index % 2), 0.95 - 0.15 * (index % 3)
        )
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colours)


def _imagenet_column(column: int) -> tuple[str, ...]:
    table = Path(__file__).parent / "data" / "imagenet_classes.tsv"
    return tuple(line.split("\t")[column] for line in table.read_text("utf-8").splitlines())


def imagenet_wordnet_ids() -> tuple[str, ...]:
    """WordNet ids of the 1000 ImageNet classes in label order."""
    return _imagenet_column(0)


def imagenet_names() -> tuple[str, ...]:
    """The 1000 ImageNet classes in label order, by their first WordNet lemma."""
    return _imagenet_column(1)


def make_labels(
    count: int,
    names: tuple[str, ...] | None = None,
    palette: tuple[Colour, ...] | None = None,
    *,
    imagenet: bool = False,
) -> Labels:
    """Labels for `count` classes from what a checkpoint says; numbered where it says nothing.

    Raises:
        UserError: the checkpoint names another number of classes than it predicts.
    """
    if names is not None and len(names) != count:
        raise UserError(f"the checkpoint names {len(names)} classes but predicts {count}")
    if names is None:
        numbered = tuple(f"class {index}" for index in range(count))
        names = imagenet_names() if imagenet and count == 1000 else numbered
    if palette is None or len(palette) != count:
        palette = spread_colours(count)
    return Labels(names, palette)
