"""Heuristic fusion of instances and semantic labels into a map with one segment for each pixel.

Works on NumPy arrays at display resolution; the Android app has the same steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lvt.panoptic.config import INSTANCE_OFFSET, FusionConfig

OVERLAP_EPSILON = 1e-5
"""Added to a mask's area, so that a share equal to the limit passes in any float precision."""


@dataclass(frozen=True)
class Segment:
    """One thing or one stuff class of a panoptic map.

    Attributes:
        id: value in the map: the label for stuff, label + 1000*k for the k-th instance.
        label: index of the class.
        area: number of pixels in the map.
        detection: index of the instance's detection; None for stuff.
    """

    id: int
    label: int
    area: int
    detection: int | None = None


@dataclass(frozen=True)
class PanopticMap:
    """A map with one segment for each pixel.

    Attributes:
        ids: int32 (H, W): segment id of each pixel, or `void`.
        segments: the instances, best first, then stuff by label; without void.
        void: id of pixels that belong to no segment.
    """

    ids: NDArray[np.int32]
    segments: tuple[Segment, ...]
    void: int


def fuse(
    masks: NDArray[np.bool_],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    semantic: NDArray[np.integer],
    *,
    things: int,
    stuff: int,
    config: FusionConfig,
) -> PanopticMap:
    """Places the instances over the semantic labels.

    1. The map starts with label = semantic channel + things. The last channel, "some thing",
       becomes void.
    2. Instances follow in the order of falling scores. An instance is dropped if it has no pixels,
       or if better instances cover more than `config.max_overlap` of its pixels. The k-th kept
       instance writes label + 1000*k to its pixels that no better instance covers.
    3. Stuff with fewer than `config.min_stuff_area` remaining pixels becomes void.

    Args:
        masks: (K, H, W), pixels of each instance; they may overlap.
        scores: (K,), in any order; instances with equal scores keep their order.
        labels: (K,), from 0 to things-1.
        semantic: (H, W), channel of the semantic head: stuff classes, then "some thing".
        things: number of thing classes.
        stuff: number of stuff classes.
        config: thresholds.
    """
    void = things + stuff
    ids = semantic.astype(np.int32) + things
    free = np.ones(ids.shape, dtype=np.bool_)
    segments: list[Segment] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        visible = masks[index] & free
        total, area = int(masks[index].sum()), int(visible.sum())
        if total == 0 or (total - area) / (total + OVERLAP_EPSILON) > config.max_overlap:
            continue
        label = int(labels[index])
        segment_id = label + INSTANCE_OFFSET * (len(segments) + 1)
        ids[visible] = segment_id
        free &= ~visible
        segments.append(Segment(segment_id, label, area, detection=index))
    for label in range(things, void):
        remaining = ids == label
        area = int(remaining.sum())
        if 0 < area < config.min_stuff_area:
            ids[remaining] = void
        elif area:
            segments.append(Segment(label, label, area))
    return PanopticMap(ids, tuple(segments), void)
