"""Pictures of predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lvt.labels import Labels

OPACITY = 0.55
_LEGEND_SHARE = 0.002
"""Classes that cover less of the picture than this are left out of the legend."""


def semantic_overlay(
    image: NDArray[np.uint8], labels: NDArray[np.integer], classes: Labels
) -> Image.Image:
    """The picture tinted by class, with class borders and a legend of shares, largest first.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) class indices.
        classes: names and colours.
    """
    palette = np.array(classes.colours, np.float32)
    tinted = image * (1 - OPACITY) + palette[labels] * OPACITY
    border = np.zeros(labels.shape, bool)
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[1:] |= labels[1:] != labels[:-1]
    tinted[border] = tinted[border] * 0.35
    counts = np.bincount(labels.ravel(), minlength=len(classes.names))
    shares = counts / labels.size
    shown = [int(i) for i in np.argsort(-shares, kind="stable") if shares[i] >= _LEGEND_SHARE]
    rows = [(classes.colours[i], f"{classes.names[i]}  {shares[i]:.0%}") for i in shown]
    return _with_legend(Image.fromarray(tinted.round().astype(np.uint8)), rows)


def _with_legend(picture: Image.Image, rows: list[tuple[tuple[int, int, int], str]]) -> Image.Image:
    """Sets a legend to the right of the picture, in as many columns as it needs."""
    text = max(12, min(22, picture.height // 22))
    font = ImageFont.load_default(size=text)
    line = text + text // 2
    per_column = max(1, (picture.height - line) // line)
    width = max((int(font.getlength(name)) for _, name in rows), default=0) + 3 * line
    columns = -(-len(rows) // per_column) if rows else 0
    canvas = Image.new("RGB", (picture.width + columns * width, picture.height), (250, 250, 250))
    canvas.paste(picture)
    draw = ImageDraw.Draw(canvas)
    for index, (colour, name) in enumerate(rows):
        left = picture.width + index // per_column * width + line // 2
        top = index % per_column * line + line // 2
        draw.rectangle((left, top, left + text, top + text), fill=colour, outline=(60, 60, 60))
        draw.text((left + line, top), name, fill=(30, 30, 30), font=font)
    return canvas
