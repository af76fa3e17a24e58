"""Overlays of predictions on pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lvt.data.labels import Colour, Labels
from lvt.errors import UserError
from lvt.panoptic.fusion import PanopticMap, Segment
from lvt.postprocessing import ClassScore
from lvt.support.files import atomic_folder, publish

OPACITY = 0.55
"""Opacity of semantic classes and instances."""
STUFF_OPACITY = 0.4
"""Opacity of stuff in panoptic overlays."""
_MIN_LEGEND_SHARE = 0.002
"""Share of the picture from which on a class is in the legend."""


def class_overlay(
    image: NDArray[np.uint8], best: Sequence[ClassScore], classes: Labels
) -> Image.Image:
    """The picture beside a list of classes with their probabilities.

    Args:
        image: (H, W, 3) uint8 RGB.
        best: the classes to list.
        classes: names and colours.
    """
    rows = [
        (classes.colours[score.index], f"{classes.names[score.index]}  {score.probability:.0%}")
        for score in best
    ]
    return _with_legend(Image.fromarray(image), rows)


def semantic_overlay(
    image: NDArray[np.uint8], labels: NDArray[np.integer], classes: Labels
) -> Image.Image:
    """The picture tinted by class, with borders, and a legend of the classes, largest first.

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
    by_share = np.argsort(-shares, kind="stable").tolist()
    listed = [i for i in by_share if shares[i] >= _MIN_LEGEND_SHARE]
    rows = [(classes.colours[i], f"{classes.names[i]}  {shares[i]:.0%}") for i in listed]
    return _with_legend(Image.fromarray(tinted.round().astype(np.uint8)), rows)


def panoptic_overlay(
    image: NDArray[np.uint8],
    panoptic: PanopticMap,
    scores: NDArray[np.floating],
    classes: Labels,
) -> Image.Image:
    """The picture with tinted stuff, outlined instances with name and score, and a legend.

    Args:
        image: (H, W, 3) uint8 RGB.
        panoptic: panoptic map of the same size.
        scores: (K,), score of each detection of the map.
        classes: names and colours, things first.
    """
    colours = np.array([*classes.colours, (0, 0, 0)], np.float32)
    stuff = np.where(panoptic.ids <= panoptic.void, panoptic.ids, panoptic.void)
    opacity = np.where(stuff == panoptic.void, 0.0, STUFF_OPACITY)[..., None]
    tinted = image * (1 - opacity) + colours[stuff] * opacity
    instances = [segment for segment in panoptic.segments if segment.detection is not None]
    for number, segment in enumerate(instances):
        inside = panoptic.ids == segment.id
        shade = _shade(classes.colours[segment.label], number)
        tinted[inside] = tinted[inside] * (1 - OPACITY) + shade * OPACITY
    tinted[_outline(panoptic.ids, instances)] = 255.0
    picture = Image.fromarray(tinted.round().astype(np.uint8))
    _write_names(picture, panoptic, instances, scores, classes)
    present = sorted({segment.label for segment in panoptic.segments})
    rows = [(classes.colours[label], classes.names[label]) for label in present]
    return _with_legend(picture, rows)


def _shade(colour: Colour, number: int) -> NDArray[np.float32]:
    """A class colour, lighter or darker for each instance, so that neighbours differ."""
    factor = (1.0, 0.78, 1.22, 0.9, 1.1)[number % 5]
    return np.clip(np.array(colour, np.float32) * factor, 0, 255)


def _outline(ids: NDArray[np.int32], instances: list[Segment]) -> NDArray[np.bool_]:
    """The pixels (H, W) of instances that touch another segment."""
    things = np.isin(ids, [segment.id for segment in instances])
    padded = np.pad(ids, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    border = np.zeros(ids.shape, bool)
    for neighbour in neighbours:
        border |= neighbour != ids
    return border & things


def _write_names(
    picture: Image.Image,
    panoptic: PanopticMap,
    instances: list[Segment],
    scores: NDArray[np.floating],
    classes: Labels,
) -> None:
    draw = ImageDraw.Draw(picture, "RGBA")
    font = ImageFont.load_default(size=max(10, min(18, picture.height // 30)))
    for segment in instances:
        rows, columns = np.nonzero(panoptic.ids == segment.id)
        text = f"{classes.names[segment.label]} {scores[segment.detection]:.0%}"
        _, _, right, bottom = draw.textbbox((0, 0), text, font=font)
        x = min(max(2.0, float(columns.mean()) - right / 2), picture.width - right - 2)
        y = max(2.0, float(rows.min()) - bottom - 3)
        draw.rectangle((x - 2, y, x + right + 2, y + bottom + 2), fill=(0, 0, 0, 150))
        draw.text((x, y), text, fill=(255, 255, 255), font=font)


def _with_legend(picture: Image.Image, rows: list[tuple[tuple[int, int, int], str]]) -> Image.Image:
    """The picture with a legend on its right side, in as many columns as needed."""
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


def save_picture(picture: Image.Image, destination: Path) -> None:
    """Writes a picture file, complete or not at all, in the format of the file name's suffix.

    Raises:
        UserError: the format is unknown, or the folder is not writable.
    """
    with atomic_folder(destination.parent) as scratch:
        try:
            picture.save(scratch / destination.name)
        except ValueError as error:
            raise UserError(f"cannot write {destination}: {error}") from error
        publish(scratch / destination.name, destination)
