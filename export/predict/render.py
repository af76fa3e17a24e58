"""Predictions for people: tables for the terminal, and map files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.table import Table

from export.predict.prediction import ClassPrediction, PanopticPrediction, Prediction
from lvt.data.labels import Labels
from lvt.panoptic.coco import CATEGORIES
from lvt.panoptic.coco_export import to_coco
from lvt.support.files import write_text
from lvt.visualisation import save_picture


def prediction_table(prediction: Prediction, count: int) -> Table:
    """The best classes, the share of each class, or the segments.

    Args:
        prediction: to show.
        count: number of classes of a classification.
    """
    if isinstance(prediction, ClassPrediction):
        table = Table("class", "name")
        table.add_column("probability", justify="right")
        for score in prediction.classes[:count]:
            name = prediction.labels.names[score.index]
            table.add_row(str(score.index), name, f"{score.probability:.1%}")
        return table
    if isinstance(prediction, PanopticPrediction):
        return _segment_table(prediction)
    table = Table("class")
    table.add_column("share", justify="right")
    for name, share in sorted(prediction.shares.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{share:.1%}")
    return table


def _segment_table(prediction: PanopticPrediction) -> Table:
    table = Table("segment")
    table.add_column("score", justify="right")
    table.add_column("share", justify="right")
    for segment in prediction.to_dict()["segments"]:
        score = "" if segment["score"] is None else f"{segment['score']:.0%}"
        share = segment["area"] / prediction.panoptic.ids.size
        table.add_row(segment["name"], score, f"{share:.1%}")
    return table


def write_label_map(label_map: NDArray[np.int64], destination: Path) -> None:
    """Writes class indices (H, W) as a greyscale PNG: 8 bits, or 16 bits for indices above 255."""
    kind = np.uint8 if label_map.max() < 256 else np.uint16
    save_picture(Image.fromarray(label_map.astype(kind)), destination)


def write_coco(
    prediction: PanopticPrediction, things: int, picture: Path, destination: Path
) -> None:
    """Writes COCO's panoptic PNG, and a JSON file of the same name in COCO's panoptic format.

    Args:
        prediction: the segments.
        things: number of thing classes; they come first.
        picture: the picture's file, for its name.
        destination: the PNG.
    """
    ids = _category_ids(prediction.labels)
    pixels, segments = to_coco(prediction.panoptic, ids)
    height, width = prediction.panoptic.ids.shape
    description = {
        "images": [{"id": 1, "file_name": picture.name, "height": height, "width": width}],
        "annotations": [{"image_id": 1, "file_name": destination.name, "segments_info": segments}],
        "categories": [
            {"id": number, "name": name, "isthing": int(label < things)}
            for label, (number, name) in enumerate(zip(ids, prediction.labels.names, strict=True))
        ],
    }
    save_picture(Image.fromarray(pixels), destination)
    text = json.dumps(description, indent=1, ensure_ascii=False)
    write_text(destination.with_suffix(".json"), text + "\n")


def _category_ids(labels: Labels) -> list[int]:
    """COCO's ids for its own classes; for other classes their position, from 1."""
    if labels.names == tuple(category.name for category in CATEGORIES):
        return [category.id for category in CATEGORIES]
    return list(range(1, len(labels.names) + 1))
