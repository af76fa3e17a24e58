"""Names and colours of classes."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lvt.errors import UserError
from lvt.support.validation import is_text, parse_json

Colour = tuple[int, int, int]

_GOLDEN_RATIO = 0.618033988749895


@dataclass(frozen=True)
class Labels:
    """Name and RGB colour of each class, in label order."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as manifests contain it."""
        return {"names": list(self.names), "colours": [list(c) for c in self.colours]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Labels:
        """Inverse of `to_dict`.

        Raises:
            UserError: names or colours are missing, or their numbers differ.
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
    """Different colours for neighbouring indices: steps of the golden ratio on the hue circle."""
    colours = []
    for index in range(count):
        hue = (index * _GOLDEN_RATIO) % 1
        red, green, blue = colorsys.hsv_to_rgb(
            hue, 0.55 + 0.3 * (index % 2), 0.95 - 0.15 * (index % 3)
        )
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colours)


def _imagenet_column(column: int) -> tuple[str, ...]:
    table = Path(__file__).parent / "imagenet_classes.tsv"
    return tuple(line.split("\t")[column] for line in table.read_text("utf-8").splitlines())


def imagenet_wordnet_ids() -> tuple[str, ...]:
    """WordNet ids of the 1000 ImageNet classes, in label order."""
    return _imagenet_column(0)


def imagenet_names() -> tuple[str, ...]:
    """Names of the 1000 ImageNet classes, in label order: the first WordNet lemma."""
    return _imagenet_column(1)


def make_labels(
    count: int,
    names: tuple[str, ...] | None = None,
    palette: tuple[Colour, ...] | None = None,
    *,
    imagenet: bool = False,
) -> Labels:
    """Labels of `count` classes.

    Args:
        count: number of classes that the model predicts.
        names: names from the checkpoint; None for numbered names.
        palette: colours from the checkpoint; None, or another number, for `spread_colours`.
        imagenet: use the names of ImageNet if there are no others and 1000 classes.

    Raises:
        UserError: the number of names is not `count`.
    """
    if names is not None and len(names) != count:
        raise UserError(
            f"the checkpoint names {len(names)} classes but predicts {count}; give the right "
            "names with --names FILE, one a line"
        )
    if names is None:
        numbered = tuple(f"class {index}" for index in range(count))
        names = imagenet_names() if imagenet and count == 1000 else numbered
    if palette is None or len(palette) != count:
        palette = spread_colours(count)
    return Labels(names, palette)


def read_names(path: Path, count: int) -> tuple[tuple[str, ...], tuple[Colour, ...] | None]:
    """Names of `count` classes from a file, and their colours if the file contains them.

    The file has one name in each line; or it is JSON: a list of names, a list of objects with
    `name` and optional `color`, or an object with `names` and optional `colours` (or `colors`,
    `palette`).

    Raises:
        UserError: there is no such file, it has another format, or another number of names.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read --names {path}: {error}") from error
    colours: list[object] | None = None
    if path.suffix.lower() == ".json" or text.lstrip().startswith(("[", "{")):
        names, colours = _names_of_json(path, text)
    else:
        names = [line.strip() for line in text.splitlines()]
        while names and not names[-1]:
            names.pop()
    if len(names) != count:
        raise UserError(f"--names {path}: {len(names)} names, and the model has {count} classes")
    if not all(is_text(name) and str(name).strip() for name in names):
        raise UserError(f"--names {path}: a name is empty or not text")
    palette = None
    if colours is not None:
        try:
            palette = tuple(_colour(value) for value in colours)
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(f"--names {path}: a colour is not [red, green, blue]") from error
        if len(palette) != count or not all(0 <= v < 256 for colour in palette for v in colour):
            raise UserError(f"--names {path}: each class needs a colour of numbers from 0 to 255")
    return tuple(str(name).strip() for name in names), palette


def _colour(value: Any) -> Colour:
    red, green, blue = value
    return int(red), int(green), int(blue)


def _names_of_json(path: Path, text: str) -> tuple[list[object], list[object] | None]:
    """Unchecked names and colours; None for no colours."""
    try:
        data = parse_json(text)
    except ValueError as error:
        raise UserError(f"--names {path} is not JSON: {error}") from error
    if isinstance(data, dict):
        names = data.get("names", data.get("classes"))
        colours = next((data[k] for k in ("colours", "colors", "palette") if k in data), None)
        if isinstance(names, list) and isinstance(colours, list | None):
            return names, colours
    if isinstance(data, list) and data and all(isinstance(entry, dict) for entry in data):
        names = [entry.get("name") for entry in data]
        colours = [entry.get("color", entry.get("colour")) for entry in data]
        return names, None if all(colour is None for colour in colours) else colours
    if isinstance(data, list):
        return data, None
    raise UserError(
        f"--names {path}: write one name a line, or JSON: a list of names, or "
        '{"names": [...], "colours": [[r, g, b], ...]}'
    )
