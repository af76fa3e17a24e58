"""Converts panoptic maps to COCO's file format: a picture of segment ids, and `segments_info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lvt.panoptic.fusion import PanopticMap

VOID_ID = 0
"""The id of void pixels in COCO's format."""


def to_coco(
    panoptic: PanopticMap, category_ids: Sequence[int]
) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    """The pixels (H, W, 3) of the PNG, and its `segments_info`.

    The ids of the map are written as red + 256 green + 256^2 blue; void is 0.

    Args:
        panoptic: the map.
        category_ids: category id of each label, without void.

    Raises:
        ValueError: the number of category ids is not the number of labels.
    """
    if len(category_ids) != panoptic.void:
        raise ValueError(
            f"{len(category_ids)} category ids for {panoptic.void} labels; give one for each "
            "label, things first"
        )
    ids = np.where(panoptic.ids == panoptic.void, VOID_ID, panoptic.ids)
    png = np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=-1).astype(np.uint8)
    segments_info = [
        {
            "id": segment.id,
            "category_id": category_ids[segment.label],
            "isthing": int(segment.detection is not None),
            "area": segment.area,
            "bbox": _bounding_box(panoptic.ids == segment.id),
            "iscrowd": 0,
        }
        for segment in panoptic.segments
    ]
    return png, segments_info


def _bounding_box(inside: NDArray[np.bool_]) -> list[int]:
    """x, y, width and height of the smallest box around the pixels."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    return [int(columns[0]), int(rows[0]), int(width), int(height)]
