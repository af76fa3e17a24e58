"""An answer as a person wants it (a table, a picture), and as a program does (plain data)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.table import Table

from lvt.data.labels import Labels
from lvt.panoptic.coco import CATEGORIES
from lvt.panoptic.coco_export import to_coco
from lvt.panoptic.fusion import PanopticMap
from lvt.postprocessing import ClassScore
from lvt.support.files import write_text
from lvt.visualisation import panoptic_overlay, save_picture, semantic_overlay


@dataclass(frozen=True)
class Shown:
    """One answer in both forms."""

    table: Table
    data: dict[str, Any]


def show_classes(best: list[ClassScore], labels: Labels) -> Shown:
    """The best classes of a picture."""
    table = Table("class", "name")
    table.add_column("probability", justify="right")
    for score in best:
        table.add_row(str(score.index), labels.names[score.index], f"{score.probability:.1%}")
    entries = [
        {"index": s.index, "name": labels.names[s.index], "probability": s.probability}
        for s in best
    ]
    return Shown(table, {"classes": entries})


def show_semantic(
    picture: NDArray[np.uint8], answer: NDArray[np.int64], labels: Labels, destination: Path
) -> Shown:
    """Shares of the classes, and the overlay written to `destination`."""
    save_picture(semantic_overlay(picture, answer, labels), destination)
    counts = np.bincount(answer.ravel(), minlength=len(labels.names))
    shares = {labels.names[i]: float(counts[i] / answer.size) for i in np.flatnonzero(counts)}
    table = Table("class")
    table.add_column("share", justify="right")
    for name, share in sorted(shares.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{share:.1%}")
    return Shown(table, {"overlay": str(destination), "shares": shares})


def show_panoptic(
    picture: NDArray[np.uint8],
    answer: PanopticMap,
    scores: NDArray[np.floating],
    labels: Labels,
    destination: Path,
) -> Shown:
    """The segments, and the overlay written to `destination`."""
    save_picture(panoptic_overlay(picture, answer, scores, labels), destination)
    table = Table("segment")
    table.add_column("score", justify="right")
    table.add_column("share", justify="right")
    entries = []
    for segment in answer.segments:
        score = None if segment.detection is None else float(scores[segment.detection])
        name, share = labels.names[segment.label], segment.area / answer.ids.size
        table.add_row(name, "" if score is None else f"{score:.0%}", f"{share:.1%}")
        entries.append({"id": segment.id, "name": name, "score": score, "area": segment.area})
    return Shown(table, {"overlay": str(destination), "segments": entries})


def _category_ids(labels: Labels) -> list[int]:
    """COCO's ids for its own classes; for other classes their position, from 1."""
    if labels.names == tuple(category.name for category in CATEGORIES):
        return [category.id for category in CATEGORIES]
    return list(range(1, len(labels.names) + 1))


def write_labels(labels: NDArray[np.int64], destination: Path) -> str:
    """Writes class indices (H, W) as a grey PNG, of 16 bits where there are more than 256."""
    kind = np.uint8 if labels.max() < 256 else np.uint16
    save_picture(Image.fromarray(labels.astype(kind)), destination)
    return str(destination)


def write_coco(
    answer: PanopticMap, labels: Labels, things: int, image: Path, destination: Path
) -> str:
    """Writes COCO's panoptic PNG, and beside it a JSON in COCO's panoptic format.

    Args:
        answer: the map.
        labels: of the model, things first.
        things: how many of them are things.
        image: the picture's file, for its name.
        destination: the PNG; the JSON has its name with `.json`.
    """
    ids = _category_ids(labels)
    pixels, segments = to_coco(answer, ids)
    height, width = answer.ids.shape
    description = {
        "images": [{"id": 1, "file_name": image.name, "height": height, "width": width}],
        "annotations": [{"image_id": 1, "file_name": destination.name, "segments_info": segments}],
        "categories": [
            {"id": number, "name": name, "isthing": int(label < things)}
            for label, (number, name) in enumerate(zip(ids, labels.names, strict=True))
        ],
    }
    save_picture(Image.fromarray(pixels), destination)
    text = json.dumps(description, indent=1, ensure_ascii=False)
    write_text(destination.with_suffix(".json"), text + "\n")
    return str(destination)
